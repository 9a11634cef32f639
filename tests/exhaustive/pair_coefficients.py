"""Prints the tables, polynomials and constants of the functions that are evaluated as pairs, like coefficients.py.

python tests/exhaustive/pair_coefficients.py
"""

from __future__ import annotations

import mpmath as mp
from coefficients import LN2, LOG_RADIUS, Real, binary64, cell, log_interval, power_series, show, show_cells, show_table

# log(gamma(1 + z)) / (z (z - 1)), and the derivative of its numerator divided by z - z0, in 16 cells with the centres
# 0, GAMMA_WIDTH, ...
GAMMA_WIDTH = mp.mpf(17) / 128


def gamma_curve(z: mp.mpf) -> mp.mpf:
    for zero, slope in ((0, mp.euler), (1, 1 - mp.euler)):
        if abs(z - zero) < mp.mpf(10) ** -50:
            return +slope
    with mp.workdps(120):
        return mp.loggamma(1 + z) / (z * (z - 1))


def digamma_root() -> mp.mpf:
    with mp.workdps(110):
        return mp.findroot(mp.digamma, mp.mpf("1.4616321449683623")) - 1


def interpolated(function: Real, low: mp.mpf, high: mp.mpf, degree: int) -> tuple[list[mp.mpf], mp.mpf]:
    """The polynomial through the Chebyshev points, and its largest relative error."""
    nodes = [(low + high - (high - low) * mp.cos(mp.pi * (i + 0.5) / (degree + 1))) / 2 for i in range(degree + 1)]
    matrix = mp.matrix([[x**j for j in range(degree + 1)] for x in nodes])
    found = list(mp.lu_solve(matrix, mp.matrix([function(x) for x in nodes])))
    points = [low + (high - low) * i / 40 for i in range(41)]
    return found, max(abs(mp.polyval(found[::-1], x) / function(x) - 1) for x in points)


def gamma_cells(function: Real, degree: int) -> list[tuple[list[mp.mpf], mp.mpf]]:
    radius = GAMMA_WIDTH / 2 * (1 + mp.mpf(2) ** -20)
    return [
        interpolated(lambda d, i=i: function(i * GAMMA_WIDTH + d), -radius if i else mp.mpf(0), radius, degree)  # type: ignore[misc]
        for i in range(16)
    ]


def stirling(w: mp.mpf) -> mp.mpf:
    """x times what (x - 1/2) log x - x + log(2 pi) / 2 lacks of log(gamma(x)), for w = 1 / x^2."""
    if w < mp.mpf(10) ** -10:
        return mp.mpf(1) / 12 - w / 360 + w * w / 1260
    with mp.workdps(90):
        x = 1 / mp.sqrt(w)
        return (mp.loggamma(x) - ((x - mp.mpf(1) / 2) * mp.log(x) - x + mp.log(2 * mp.pi) / 2)) * x


def digamma_series(w: mp.mpf) -> mp.mpf:
    """x^2 (log x - 1 / (2 x) - digamma(x)), for w = 1 / x^2."""
    if w < mp.mpf(10) ** -10:
        return mp.mpf(1) / 12 - w / 120 + w * w / 252
    with mp.workdps(90):
        x = 1 / mp.sqrt(w)
        return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / w


def atan_rest(s: mp.mpf) -> mp.mpf:
    """(atan(t) - t) / t^3 as a function of s = t^2."""
    return mp.polyval([(-1) ** (j + 1) / mp.mpf(2 * j + 3) for j in range(30)][::-1], s)


def show_pairs() -> None:
    """Tables, polynomials and constants of the functions that are evaluated as pairs."""
    angles = [mp.atan(mp.mpf(j) / 16) for j in range(16)]
    show_table("atan(j/16), high parts", angles)
    show_table("atan(j/16), low parts", [v - binary64(v) for v in angles])
    found, error = cell(atan_rest, mp.mpf(0), mp.mpf("0.0335") ** 2, 5)
    show_table(f"(atan(t) - t) / t^3 in t^2: degree 5, error 2^{float(mp.log(error, 2)):.1f}", found)
    intervals = [log_interval(i) for i in range(16)]
    show_table("what the table of log(c) lacks", [-mp.log(inverse) - log_c for inverse, log_c in intervals])
    log_fourth = power_series([(-1) ** (j + 3) / mp.mpf(j + 4) for j in range(60)])
    show("(log(1 + r) - r + r^2/2 - r^3/3) / r^4", log_fourth, lambda r: mp.mpf(1), LOG_RADIUS, 8)
    root = digamma_root()
    for name, value in (
        ("ln 2", LN2), ("1 / ln 2", 1 / LN2), ("1 / ln 10", 1 / mp.log(10)), ("sqrt(2)", mp.sqrt(2)),
        ("log(2 pi) / 2", mp.log(2 * mp.pi) / 2), ("log(pi)", mp.log(mp.pi)), ("zero of digamma, less 1", root),
    ):  # fmt: skip
        show_table(f"{name} and what it lacks", [value, value - binary64(value)])
    show_table("B(2 k) / (2 k)!", [mp.bernoulli(2 * k) / mp.factorial(2 * k) for k in range(1, 13)])
    for name, function in (("log(gamma(x))", stirling), ("digamma(x)", digamma_series)):
        found, error = interpolated(function, mp.mpf(0), mp.mpf(1) / 64, 6)
        show_table(f"series of {name} in 1 / x^2: error 2^{float(mp.log(error, 2)):.1f}", found)
    show_cells("log(gamma(1 + z)) / (z (z - 1))", gamma_cells(gamma_curve, 11), 2)
    show_cells("digamma(1 + z) / (z - z0)", gamma_cells(lambda z: mp.digamma(1 + z) / (z - root), 11), 2)


if __name__ == "__main__":
    show_pairs()
