"""The small transformer: torch's own attention, causality, closed forms at the start, and the stored runs."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers import transformer
from tests.reproduce_transformer import LAYERS, ROWS, SEEDS, joined


def test_layer_norm_by_hand():
    h = torch.tensor([[1.0, 2.0, 6.0]], dtype=torch.float64)
    expected = (h - 3) / math.sqrt(14 / 3 + 1e-5)
    torch.testing.assert_close(transformer.layer_norm(h), expected)


def test_the_scales_of_deepnet():
    alpha, beta = transformer.deepnorm_scales(8)
    assert (alpha, beta) == (2.0, pytest.approx(1 / math.sqrt(8)))  # 16^(1/4) and 64^(-1/4)


def test_attention_is_torchs():
    layer = transformer.Layer(torch.Generator().manual_seed(0), width=8, heads=2)
    h = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
    parts = [(h @ w.T).view(3, 5, 2, 4).transpose(1, 2) for w in (layer.query, layer.key, layer.value)]
    read = F.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).reshape(3, 5, 8)
    torch.testing.assert_close(layer.attention(h), read @ layer.out.T)


@pytest.mark.parametrize("kind", ["pre", "post", "deepnorm"])
def test_no_position_sees_a_later_one(kind):
    net = transformer.Transformer(joined, kind, layers=2, seed=1)
    x, _ = transformer.sums(4, torch.Generator().manual_seed(0))
    other = x.clone()
    other[:, 5] = (other[:, 5] + 1) % transformer.SYMBOLS
    a, b = net(x), net(other)
    torch.testing.assert_close(a[:, :5], b[:, :5])
    assert not torch.allclose(a[:, 5:], b[:, 5:])


def test_what_is_to_be_said_is_the_sum():
    x, y = transformer.sums(50, torch.Generator().manual_seed(2))
    assert x.shape == y.shape == (50, 8)
    for row, said in zip(x.tolist(), y.tolist(), strict=True):
        assert said == [row[0], *((a + b) % 11 for a, b in itertools.pairwise(row))]


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind is 'sandwich'"):
        transformer.Transformer(joined, "sandwich")


def test_deepnorm_starts_smaller_where_deepnet_says():
    plain, small = (
        transformer.Transformer(joined, kind, layers=2, seed=3).layers[0] for kind in ("pre", "deepnorm")
    )
    beta = 16**-0.25
    for name in ("value", "out", "up", "down"):
        torch.testing.assert_close(getattr(small, name), beta * getattr(plain, name))
    assert torch.equal(small.query, plain.query) and torch.equal(small.key, plain.key)


def test_a_dropped_layer_lets_the_stream_through():
    net = transformer.Transformer(joined, "pre", layers=3, seed=4)
    x, y = transformer.sums(6, torch.Generator().manual_seed(0))
    states = net.stream(x, [1])
    assert len(states) == 4 and torch.equal(states[1], states[2])
    assert torch.equal(net.stream(x, [])[-1], net.stream(x)[-1])
    whole = transformer.lens([net], x, y)
    assert whole.shape == (4, 1) and transformer.deletions([net], x, y).shape == (3, 1)
    right = (net(x).argmax(-1) == y)[:, 1:].double().mean().item()
    assert whole[-1, 0] == pytest.approx(right)


def test_together_networks_train_as_they_would_alone():
    def fresh():
        return [
            transformer.Transformer(joined, "pre", layers=1, width=8, heads=2, seed=seed) for seed in (5, 6)
        ]

    together = fresh()
    losses = transformer.train(together, steps=4, lr=0.01, warmup=2)
    for i, net in enumerate(fresh()):
        update = torch.optim.Adam(net.parameters(), lr=0.01)
        draw = torch.Generator().manual_seed(net.seed)
        for step in range(4):
            update.param_groups[0]["lr"] = 0.01 * min(1, (step + 1) / 2)
            x, y = transformer.sums(32, draw)
            loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten())
            update.zero_grad()
            loss.backward()
            update.step()
            assert losses[step, i] == pytest.approx(loss.item(), rel=1e-4)
        torch.testing.assert_close(net.unembed, together[i].unembed, rtol=1e-3, atol=1e-5)


def test_every_row_that_the_script_makes_is_written_down():
    for processor, kind, rate, warmup, steps, sets in ROWS:
        setting = (kind, rate, warmup, steps, processor)
        assert transformer.measured("loss", *setting).shape == (sets, SEEDS)
        curve = transformer.measured("curve", *setting)
        assert curve.shape == (sets, steps // 10)
        np.testing.assert_allclose(curve[:, -1], transformer.measured("loss", *setting).mean(1), rtol=2e-3)
        if kind == "pre":
            lens = transformer.measured("lens", *setting)
            assert lens.shape == (sets, LAYERS + 1) and ((lens >= 0) & (lens <= 1)).all()
            assert transformer.measured("deletions", *setting).shape == (sets, LAYERS)
    with pytest.raises(KeyError, match="plain pre 7 0 150 loss"):
        transformer.measured("loss", "pre", 7)


def test_at_the_start_all_guess():
    """Before the first update the loss is near that of guessing, up to what the untrained logits add."""
    for kind, rate, warmup in (("pre", 0.01, 0), ("post", 0.001, 50), ("deepnorm", 0.01, 0)):
        assert abs(transformer.measured("curve", kind, rate, warmup)[:, 0] - math.log(11)).max() < 0.5
