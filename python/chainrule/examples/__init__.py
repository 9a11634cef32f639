"""Nets and experiments from the lectures on which chainrule is based; docs/lectures.md shows each of them.

Nothing in the package depends on them. `python -m chainrule.examples.plots FOLDER` plots the experiments.
"""

from . import experiments
from .gan import Gan, gan
from .perceptron import Learning, Perceptron, delta_rule, perceptron_rule
from .printed import Neuron, as_printed, from_printed
from .shapes import collapse, sawtooth, translations
from .threshold import (
    Circuit,
    and_gate,
    not_gate,
    or_gate,
    patterns,
    threshold_unit,
    truth_table,
    truth_table_net,
    xor_net,
)

__all__ = [
    "Circuit",
    "Gan",
    "Learning",
    "Neuron",
    "Perceptron",
    "and_gate",
    "as_printed",
    "collapse",
    "delta_rule",
    "experiments",
    "from_printed",
    "gan",
    "not_gate",
    "or_gate",
    "patterns",
    "perceptron_rule",
    "sawtooth",
    "threshold_unit",
    "translations",
    "truth_table",
    "truth_table_net",
    "xor_net",
]
