"""Texts that are numbers: decimal commas, groups of digits, currencies and per cent, decided on a whole column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NumberStyle", "Numbers", "parse_numbers"]

PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SIGN = r"[+\-\u2212]?"
_CURRENCY = r"(?:[A-Z]{2})?[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20ba]|USD|EUR|GBP|CHF|JPY|CAD|AUD|SEK|NOK|DKK|PLN"
_AMOUNT = re.compile(
    rf"(?P<open>\()?(?P<sign>{_SIGN}) ?(?P<before>{_CURRENCY})?[ \u00a0]?(?P<inner>{_SIGN})"
    rf"(?P<digits>[\d.,' \u00a0\u202f]*\d[.,]?)[ \u00a0\u202f]?(?P<after>%|{_CURRENCY})?(?P<close>\))?",
    re.ASCII,
)


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written: decimal mark, mark between groups of digits, marks like `$` and `%`.

    >>> from chainrule.data._amounts import NumberStyle
    >>> NumberStyle(",", ".", "%").describe()
    "decimal ',', thousands '.', '%'"
    """

    decimal: str = "."
    thousands: str = ""
    mark: str = ""

    def describe(self) -> str:
        """The style in words; "" for plain numbers."""
        parts = [f"decimal {self.decimal!r}"] if self.decimal != "." else []
        parts += [f"thousands {self.thousands!r}"] if self.thousands else []
        return ", ".join(parts + ([repr(self.mark)] if self.mark else []))


@dataclass(frozen=True)
class Numbers:
    """Parsed texts: `values`, float64, and the style they were written in."""

    values: npt.NDArray[np.float64]
    style: NumberStyle


def parse_numbers(texts: Sequence[str], decimal: str | None = None, thousands: str | None = None) -> Numbers | str:
    """Parse all texts as numbers, or return the first that is none.

    Plain numbers, and numbers with a currency or `%`, groups of digits and a decimal comma. All texts must agree in
    what the comma and the point mean; a column in which each comma is followed by three digits has groups of digits.
    `12 %` is 12. Texts with digits before them that say so (`007`) are codes, not numbers.

    Arguments: `texts`; `decimal` and `thousands`, if known.
    Returns: `Numbers`, or the first text that is not a number (of one style with the others).

    >>> from chainrule.data._amounts import parse_numbers
    >>> parse_numbers(["$1,200", "$80.50", "-$3"]).values
    array([1200. ,   80.5,   -3. ])
    >>> parse_numbers(["2,5", "1.000,25"]).values
    array([   2.5 , 1000.25])
    >>> parse_numbers(["1", "x", "2"])
    'x'
    """
    stripped = [text.strip() for text in texts]
    if decimal in (None, ".") and not thousands and all(map(PLAIN.fullmatch, stripped)):
        code = next((t for t in texts if _is_code(t.strip())), None)
        return code if code is not None else Numbers(np.array(stripped, dtype=np.float64), NumberStyle())
    found = []
    for text, original in zip(stripped, texts, strict=True):
        match = _AMOUNT.fullmatch(text)
        if PLAIN.fullmatch(text) and "e" in text.lower():
            found.append(("", text, ""))
        elif match is None or _odd(match):
            return original
        else:
            negative = bool(match["open"]) != any(s in ("-", "\u2212") for s in (match["sign"], match["inner"]))
            mark = (match["before"] or match["after"] or "").strip()
            found.append(("-" if negative else "", match["digits"].strip(), mark))
    digits = [d for _, d, _ in found]
    marks = sorted({mark for _, _, mark in found if mark})
    if len(marks) > 1:  # dollars and euros are not one unit
        return next(original for original, row in zip(texts, found, strict=True) if row[2] != found[0][2])
    style = _style(digits, decimal, thousands)
    well_formed = _pattern(style)
    values = np.empty(len(found))
    for i, (sign, text, _) in enumerate(found):
        if not well_formed.fullmatch(text) or (not marks and _is_code(text)):
            return texts[i]
        plain = text.replace(style.thousands, "") if style.thousands else text
        values[i] = float(sign + plain.replace(style.decimal, "."))
    return Numbers(values, NumberStyle(style.decimal, style.thousands, "".join(marks)))


def _is_code(text: str) -> bool:
    """Whether digits begin with a 0 that a number would not have, as in `02134`."""
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits.isdigit()


def _odd(match: re.Match[str]) -> bool:
    return (
        bool(match["open"]) != bool(match["close"])
        or bool(match["sign"] and match["inner"])
        or bool(match["before"] and match["after"])
    )


def _pattern(style: NumberStyle) -> re.Pattern[str]:
    point, group = re.escape(style.decimal), re.escape(style.thousands)
    whole = rf"(?:\d+|\d{{1,3}}(?:{group}\d{{3}})+)" if group else r"\d+"
    return re.compile(rf"(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def _style(digits: Sequence[str], decimal: str | None, thousands: str | None) -> NumberStyle:
    """What the comma and the point mean in texts of digits and separators."""
    group = thousands
    if group is None:
        for separator in "'\u202f\u00a0 ":
            if any(separator in text for text in digits):
                group = separator
    if decimal is None:
        decimal = _decimal(digits, "" if group is None else group)
    if group is None:
        other = "," if decimal == "." else "."
        group = other if any(other in text for text in digits) else ""
    return NumberStyle(decimal, group)


def _decimal(digits: Sequence[str], group: str) -> str:
    if group in (",", "."):
        return "." if group == "," else ","
    for text in digits:
        comma, point = text.rfind(","), text.rfind(".")
        if comma < 0:
            continue
        if point >= 0:
            return "," if comma > point else "."
        if text.count(",") == 1 and not re.search(r"^\d{1,3},\d{3}$", text):
            return ","
        if text.count(",") > 1:
            return "."
    if any(text.count(".") > 1 for text in digits):
        return ","
    return "."
