"""Ops, layers, losses and distributions give PyTorch's values and derivatives, in every setting the same bits.

`pip install torch`, a build for CPUs; elsewhere these tests are skipped.
"""

from typing import Any

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("torch")

import torch

from peers import arrays, elementwise, layers, losses, names
from peers.call import assert_close, bits, ours, theirs

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning"),  # of kl_div
]

CALLS = 30
TABLES = {"elementwise": elementwise, "arrays": arrays, "layers": layers, "losses": losses, "names": names}
ALL = {f"{word}: {name}": call for word, table in TABLES.items() for name, call in table.CALLS.items()}


@pytest.mark.parametrize("name", ALL)
def test_values_and_derivatives_are_those_of_pytorch(name: str) -> None:
    """Of the first and second order, in float64, to 1e-10."""
    for seed in range(CALLS):
        drawn = ALL[name].draw(np.random.default_rng(seed))
        assert_close(ours(ALL[name], drawn, seed), theirs(ALL[name], drawn, seed))


@pytest.mark.parametrize("name", ALL)
def test_compiled_calls_and_other_levels_have_the_bits(name: str) -> None:
    best = cr.active_isa()
    try:
        for seed in range(CALLS):
            drawn = ALL[name].draw(np.random.default_rng(seed))
            cr.use_isa(best)
            expected = bits(ALL[name], drawn, seed, compiled=False)
            assert not ALL[name].compiled or bits(ALL[name], drawn, seed, compiled=True) == expected
            for isa in cr.available_isas():
                cr.use_isa(isa)
                assert bits(ALL[name], drawn, seed, compiled=False) == expected, isa
    finally:
        cr.use_isa(best)


SPECIAL = {**elementwise.SPECIAL_OF_ONE, **elementwise.SPECIAL_OF_TWO}
# Where PyTorch's value is not the limit: NaN at infinity or for subnormal divisors; the sign of NaN is 0 there.
OTHERWISE = {
    "sign": np.isnan,
    **dict.fromkeys(("silu", "mish", "softsign", "gelu", "hardswish"), np.isinf),
    **dict.fromkeys(("fmod", "remainder"), lambda x, y: np.abs(y) < np.finfo(float).smallest_normal),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_values_at_special_points_are_those_of_pytorch(name: str) -> None:
    drawn = SPECIAL[name].draw(np.random.default_rng(0))
    kept = ~OTHERWISE.get(name, lambda *x: np.zeros(len(drawn[0]), bool))(*drawn)
    both: Any = [[[found[0][0][kept]]] for found in (ours(SPECIAL[name], drawn, 0), theirs(SPECIAL[name], drawn, 0))]
    assert kept.mean() > 0.5
    assert_close(*both)


NETS: dict[str, Any] = {
    "square": lambda nn: nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)),
    "images": lambda nn: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3), nn.PReLU()
    ),
    "recurrent": lambda nn: nn.GRU(3, 3, num_layers=2, bidirectional=True),
    "attention": lambda nn: nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0),
    "words": lambda nn: nn.Sequential(nn.Embedding(3, 3), nn.Linear(3, 3), nn.LayerNorm(3)),
}


@pytest.mark.parametrize("name", NETS)
def test_states_of_pytorch_are_loaded_as_they_are(name: str) -> None:
    model, other = NETS[name](cr.nn).eval(), NETS[name](torch.nn).eval()
    rng = np.random.default_rng(0)
    x = {"images": rng.random((2, 1, 3, 3)), "attention": rng.random((3, 2, 4)), "words": rng.integers(0, 3, (2, 3))}
    given = x.get(name, rng.random((3, 3, 3)))
    given = given.astype(np.float32) if given.dtype == np.float64 else given
    model.load_state_dict(other.state_dict())
    found, expected = model(given), other(torch.tensor(given))
    for a, b in zip(*(t if isinstance(t, tuple) else (t,) for t in (found, expected)), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-6)
