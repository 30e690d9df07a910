"""Which answers say the same, and which nearly."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process

ALIKE = 85.0  # per cent of likeness from which answers are read one after the other
COMPARED = 4000  # characters of an answer that tell whether it is like another


@dataclass(frozen=True)
class Place:
    """Where an answer stands among the others.

    Args:
        group: of answers that are alike; numbered in the order in which they should be read.
        same: numbered within all; answers of one number differ in case, blanks, emphasis and a last full stop alone.
        percent: how like it is to the first of its group.
    """

    group: int
    same: int
    percent: float


def plain(text: str) -> str:
    """What is compared: letters in one case, single blanks, no marks of emphasis, no full stop at the end."""
    return re.sub(r"\s+", " ", re.sub(r"[*_`]", "", text)).strip(" .!\n").casefold()


def groups(texts: Mapping[str, str]) -> dict[str, Place]:
    """Group answers by likeness.

    An answer belongs to the first answer that it is like (`ALIKE`); common wordings come first, so a group is named by what
    most say.

    Args:
        texts: answers by an id.

    Returns:
        A place for each id, in the order in which they should be read: large groups first, and in a group the likest first.
    """
    wordings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(texts):
        wordings[plain(texts[name])].append(name)
    common = sorted(wordings, key=lambda wording: (-len(wordings[wording]), wording))
    shown = [wording[:COMPARED] for wording in common]
    likeness = process.cdist(shown, shown, scorer=fuzz.ratio, score_cutoff=ALIKE, dtype=np.float32)
    leaders: list[int] = []
    led: dict[int, list[tuple[int, float]]] = {}
    for at in range(len(common)):
        leader = next((first for first in leaders if likeness[first, at] >= ALIKE), at)
        if leader == at:
            leaders.append(at)
        led.setdefault(leader, []).append((at, 100.0 if leader == at else float(likeness[leader, at])))
    size = {first: sum(len(wordings[common[at]]) for at, _ in members) for first, members in led.items()}
    places: dict[str, Place] = {}
    for group, first in enumerate(sorted(led, key=lambda first: (-size[first], first))):
        for at, percent in sorted(led[first], key=lambda member: (-member[1], member[0])):
            places |= {name: Place(group, at, round(percent, 1)) for name in wordings[common[at]]}
    return places
