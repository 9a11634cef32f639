"""The exhaustive driver over all 2^32 inputs, as a nightly test."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from support.build_objects import ROOT
from support.variants import ISAS

Record = Callable[[str, object], None]  # pytest's record_property
FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf", "ndtr", "sin", "cos")
PAIRS = ("rsqrt", "cbrt", "exp2", "log2", "log10", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh")
FUNCTIONS = (*FUNCTIONS, *PAIRS, "atanh", "erfc", "lgamma")


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("isa", ISAS)
def test_all_inputs(function: str, isa: str, record_property: Record) -> None:
    """On the scalar level every 16th, and all near special values."""
    driver = str(ROOT / "tests" / "exhaustive" / "run.py")
    command = [sys.executable, driver, function, "--on", isa, "--stride", "16" if isa == "scalar" else "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) inputs +(\d+) misrounded", done.stdout)
    assert found is not None, done.stderr
    record_property("inputs", int(found[1]))
    record_property("misrounded results", int(found[2]))
    assert done.returncode == 0, done.stdout
    assert int(found[1]) >= 2**32 // (16 if isa == "scalar" else 1)
