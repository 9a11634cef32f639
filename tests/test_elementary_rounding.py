"""Float32 functions where the quick evaluation is in doubt: nearly a tie of the rounding, subnormal, special."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits
from reference.elementary import correctly_rounded
from support.programs import elementwise
from support.variants import every_setting

RANGES = {"exp": (-87, 88), "log": (0, 20), "tanh": (-8, 8), "sigmoid": (-87, 17), "erf": (-3.9, 3.9), "ndtr": (-13, 5)}


@pytest.mark.parametrize("name", RANGES)
def test_nearly_ties_and_subnormal_numbers(name: str) -> None:
    """The 200 of half a million numbers whose value is nearest to the middle of two floats, each beside an easy one."""
    rng = np.random.default_rng(65)
    x = rng.uniform(*RANGES[name], 1 << 19).astype(np.float32)
    value = getattr(cr, name)(x.astype(np.float64)).numpy()
    rounded = value.astype(np.float32)
    distance = np.abs(np.abs(value - rounded) / np.spacing(np.abs(rounded)) - 0.5)
    hard = x[np.argpartition(distance, 200)[:200]]
    subnormal = rng.integers(1, 1 << 23, 64, dtype=np.uint32).view(np.float32)
    special = np.asarray([0.0, -0.0, np.inf, -np.inf, np.nan, 2.0**-126, -120, 100], np.float32)
    rows = [np.stack([hard, x[:200]], axis=1).ravel(), hard, subnormal, -subnormal, np.resize(special, 64)]
    inputs = np.concatenate(rows)
    expected = correctly_rounded(name, inputs)
    for setting in every_setting(threads=(1,)):
        assert_same_bits(elementwise(name, inputs), expected, setting)
