"""The table of elementwise ops: one row per op of the public package. Tests iterate over it.

A new op is one row, `REFERENCE["name"] = Row(...)`, behind its functions in activations.py or elementary_gradients.py:
its value, its gradient kernel if it has one, and ordinary arguments for it. Rows are total: they also say what happens
to NaN, infinities, zeros of both signs and subnormals.
"""

from . import activations, elementary_gradients, elementary_pairs, elementwise  # noqa: F401 (their rows)
from .row import ORDINARY, PAIR, REFERENCE, Interval, Row, at_zero, numbers_of

__all__ = ["GRADIENTS", "ORDINARY", "REFERENCE", "Interval", "Row"]

EXPONENTS = numbers_of("exponent", 2, 3, 1, 0, -1, -2, 5, 7, 12, 0.5, 2.5, -0.3)

REFERENCE.update(
    {
        "add": Row(elementwise.add, domain=PAIR),
        "sub": Row(elementwise.sub, domain=PAIR),
        "mul": Row(elementwise.mul, domain=PAIR),
        "div": Row(elementwise.div, domain=(ORDINARY, (0.25, 4.0))),
        "maximum": Row(elementwise.maximum, domain=PAIR),
        "minimum": Row(elementwise.minimum, domain=PAIR),
        "equal": Row(elementwise.equal, domain=PAIR),
        "not_equal": Row(elementwise.not_equal, domain=PAIR),
        "less": Row(elementwise.less, domain=PAIR),
        "less_equal": Row(elementwise.less_equal, domain=PAIR),
        "greater": Row(elementwise.greater, domain=PAIR),
        "greater_equal": Row(elementwise.greater_equal, domain=PAIR),
        "where": Row(elementwise.where, domain=(None, ORDINARY, ORDINARY)),
        "neg": Row(elementwise.neg),
        "abs": Row(elementwise.abs, kinks=at_zero),
        "square": Row(elementwise.square),
        "power": Row(elementary_pairs.power, domain=((0.25, 4.0),), attributes=EXPONENTS),
    }
)

GRADIENTS: dict[str, Row] = {f"{name}_grad": row for name, row in REFERENCE.items() if row.gradient is not None}
