"""All that is wrong with a file, told at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._errors import DataError

__all__ = ["Problems", "shown"]

_TOLD = 10  # problems
_KEPT = 100_000


def shown(text: str) -> str:
    """The text in quotes, shortened.

    >>> from chainrule.data._problems import shown
    >>> shown("x" * 50)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'"
    """
    return repr(text if len(text) <= 40 else text[:37] + "...")


@dataclass
class Problems:
    """Problems of one file, in order of their lines; `name` is the file's.

    >>> from chainrule.data._problems import Problems
    >>> problems = Problems("f.csv")
    >>> problems.add("3 fields, expected 2", line=4)
    >>> problems.add("'four' is not a number", line=2, column="size")
    >>> print(problems.error())
    f.csv: 2 problems
      line 2, column 'size': 'four' is not a number
      line 4: 3 fields, expected 2
    """

    name: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, message: str, *, line: int = 0, column: str | None = None) -> None:
        """Note a problem; line 0 is the whole file."""
        place = ([f"line {line}"] if line else []) + ([f"column {column!r}"] if column is not None else [])
        if len(self.found) < _KEPT:
            self.found.append((line, f"{', '.join(place)}: {message}" if place else message))

    def error(self) -> DataError:
        """The problems as an error: one line for one, otherwise a list of at most ten."""
        told = [text for _, text in sorted(self.found, key=lambda problem: problem[0])]
        if len(told) == 1:
            return DataError(f"{self.name}{', ' if self.found[0][0] else ': '}{told[0]}")
        more = [f"  ... and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
        return DataError("\n".join([f"{self.name}: {len(told)} problems", *(f"  {t}" for t in told[:_TOLD]), *more]))

    def check(self) -> None:
        """Raise them, if there are any."""
        if self.found:
            raise self.error()
