"""Probability distributions with PyTorch's names: samples, densities, entropies, divergences, with gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import exports as _exports
from ._distributions import *

if not TYPE_CHECKING:
    __all__ = _exports.public_names(globals())
