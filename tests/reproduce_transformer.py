"""The experiment behind lesson 10's section 2: where the norm stands, in transformers of 8 layers.

Not a test of `make test`. Results are kept under build/, so that what is interrupted goes on:

- `python -m tests.reproduce_transformer` makes all rows of `ROWS` (about six CPU minutes) and writes
  helpers/transformer_runs.py, which the lesson reads.
- `python -m tests.reproduce_transformer row 7` makes one row only; `... write` writes what there is.

A row for another processor runs in a process that emulates it (`course replicate` knows how).
"""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helpers import transformer

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "reproduce_transformer"
LAYERS, SEEDS, TOGETHER = 8, 5, 4  # set k holds the seeds 1000 k to 1000 k + 4; so many sets train at once
SETS = 4
WARMUP = 50
KINDS = (("pre", 0), ("post", 0), ("post", WARMUP), ("deepnorm", 0))
BEST = {"pre": 0.01, "post": 0.001, "deepnorm": 0.01}  # of three rates each, in the first set
OTHERS = {"pre": (0.003, 0.03), "post": (0.0003, 0.003), "deepnorm": (0.003, 0.03)}

# (processor, kind, rate, warm-up, steps, sets)
ROWS = [("plain", kind, BEST[kind], warmup, 150, SETS) for kind, warmup in KINDS]
ROWS += [("plain", kind, rate, warmup, 150, 1) for kind, warmup in KINDS for rate in OTHERS[kind]]
ROWS += [("plain", "post", BEST["post"], WARMUP, 600, 1)]
ROWS += [(other, kind, BEST[kind], w, 150, 1) for other in ("avx2", "baseline") for kind, w in KINDS]


def joined(h: Tensor, f, kind: str, alpha: float) -> Tensor:
    """Join a branch to the stream; what the lesson's second exercise asks for."""
    if kind == "pre":
        return h + f(transformer.layer_norm(h))
    return transformer.layer_norm((alpha if kind == "deepnorm" else 1) * h + f(h))


def row(index: int) -> Path:
    """Train the networks of one row, in a process that emulates its processor; give the file they are kept in."""
    from course.editions.replicate import processors

    processor = ROWS[index][0]
    path = KEPT / f"{'-'.join(map(str, ROWS[index]))}.json"
    if not path.is_file():
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **processors([processor])[processor]}
        command = [sys.executable, "-m", "tests.reproduce_transformer", "train", str(index), str(path)]
        subprocess.run(command, env=environment, cwd=ROOT, check=True)
    return path


def train(index: int, path: Path) -> None:
    """Train the networks of one row here and write what was measured on them."""
    torch.set_num_threads(1)
    _, kind, rate, warmup, steps, sets = ROWS[index]
    x, y = transformer.sums(256, torch.Generator().manual_seed(99))
    found = {"loss": [], "curve": [], "lens": [], "deletions": []}
    for first in range(0, sets, TOGETHER):
        chosen = range(first, min(first + TOGETHER, sets))
        seeds = [1000 * k + i for k in chosen for i in range(SEEDS)]
        nets = [transformer.Transformer(joined, kind, LAYERS, seed=seed) for seed in seeds]
        losses = transformer.train(nets, steps=steps, lr=rate, warmup=warmup)
        curves = losses.reshape(-1, 10, len(nets)).mean(1).T  # (networks, steps / 10)
        found["loss"] += curves[:, -1].reshape(-1, SEEDS).tolist()
        measures = {"curve": curves.T}
        if kind == "pre":
            measures |= {"lens": transformer.lens(nets, x, y), "deletions": transformer.deletions(nets, x, y)}
        for name, values in measures.items():
            found[name] += values.reshape(len(values), -1, SEEDS).mean(2).T.tolist()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")


def write() -> None:
    """Write helpers/transformer_runs.py from the rows that there are."""
    from course.editions.replicate import libraries, processor_model

    lines = []
    for index, (processor, kind, rate, warmup, steps, _) in enumerate(ROWS):
        path = KEPT / f"{'-'.join(map(str, ROWS[index]))}.json"
        if path.is_file():
            for what, values in json.loads(path.read_text(encoding="utf-8")).items():
                if values:
                    numbers = " / ".join(" ".join(f"{v:.4g}" for v in each) for each in np.array(values))
                    lines.append(f"{processor} {kind} {rate:g} {warmup} {steps} {what}: {numbers}")
    text = f'''"""Measured, not computed here: how transformers of 8 layers train, by where their norm stands.

Written by `python -m tests.reproduce_transformer` on {datetime.date.today()}; never edited by hand.
{processor_model()}; {", ".join(libraries())}.

A row: processor, kind, learning rate, steps of warm-up, steps, what was measured; then its numbers, a stroke between two
sets of five seeds: 0 to 4, 1000 to 1004, 2000 to 2004 and so on. `transformer.measured` reads it.
"""

RUNS = """\\
{chr(10).join(lines)}
"""
'''
    (ROOT / "helpers" / "transformer_runs.py").write_text(text, encoding="utf-8")


def main(words: list[str]) -> None:
    """Do what the command line says."""
    match words:
        case ["train", index, path]:
            train(int(index), Path(path))
        case ["row", index]:
            print(row(int(index)))
        case ["write"]:
            write()
        case _:
            for index in range(len(ROWS)):
                print(row(index), flush=True)
            write()


if __name__ == "__main__":
    main(sys.argv[1:])
