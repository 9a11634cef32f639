"""Prints the polynomial coefficients and constants of cpp/math, as hexadecimal floats (needs mpmath).

    python tests/exhaustive/coefficients.py

Each polynomial is the minimax fit of the named function on the reduced interval (Remez exchange with a weight, in
60 digits), its coefficients rounded to binary64. The figure behind each name is log2 of the largest weighted error.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60
Real = Callable[[mp.mpf], mp.mpf]

HALF_LN2 = mp.log(2) / 2
# The two halves of the mantissa interval [sqrt(1/2), sqrt(2)] in s = f / (2 + f), f = m - 1.
LARGEST_S = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)


def remez(function: Real, weight: Real, low: mp.mpf, high: mp.mpf, degree: int) -> list[mp.mpf]:
    """Coefficients c of the polynomial with the smallest max |weight * (c - function)| on [low, high]."""
    count = degree + 2
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]
    coefficients: list[mp.mpf] = []
    for _ in range(12):
        rows = [[x**j for j in range(degree + 1)] + [(-1) ** i / weight(x)] for i, x in enumerate(points)]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix([function(x) for x in points]))
        coefficients = [solution[j] for j in range(degree + 1)]
        grid = [low + (high - low) * (1 - mp.cos(mp.pi * i / 400)) / 2 for i in range(401)]
        errors = [weighted_error(coefficients, function, weight, x) for x in grid]
        points = alternation(grid, errors, count)
    return coefficients


def weighted_error(coefficients: list[mp.mpf], function: Real, weight: Real, x: mp.mpf) -> mp.mpf:
    return weight(x) * (mp.polyval(coefficients[::-1], x) - function(x))


def alternation(grid: list[mp.mpf], errors: list[mp.mpf], count: int) -> list[mp.mpf]:
    """The largest error of each run of one sign; if there are too many runs, the smallest outer ones go."""
    best: list[int] = []
    for i in range(len(grid)):
        if best and (errors[best[-1]] > 0) == (errors[i] > 0):
            if abs(errors[i]) > abs(errors[best[-1]]):
                best[-1] = i
        else:
            best.append(i)
    while len(best) > count:
        best.pop(0 if abs(errors[best[0]]) < abs(errors[best[-1]]) else -1)
    if len(best) < count:
        raise ArithmeticError(f"only {len(best)} alternations, {count} needed")
    return [grid[i] for i in best]


def show(name: str, function: Real, weight: Real, low: mp.mpf, high: mp.mpf, degree: int) -> None:
    coefficients = [mp.mpf(float(c)) for c in remez(function, weight, low, high, degree)]
    grid = [low + (high - low) * i / 1000 for i in range(1001)]
    worst = max(abs(weighted_error(coefficients, function, weight, x)) for x in grid)
    print(f"{name}: degree {degree}, error 2^{float(mp.log(worst, 2)):.2f}")
    print("   ", ", ".join(float(c).hex() for c in coefficients))


def truncated(value: mp.mpf, zero_bits: int) -> mp.mpf:
    """Value cut to 53 - zero_bits significant bits, so that a product with a small integer is exact."""
    scale = mp.mpf(2) ** (53 - zero_bits - 1 - int(mp.floor(mp.log(value, 2))))
    return mp.floor(value * scale) / scale


def exp_tail(r: mp.mpf) -> mp.mpf:
    """(e^r - 1 - r - r^2/2) / r^3."""
    return mp.nsum(lambda j: r**j / mp.factorial(j + 3), [0, 30])


def log_tail(z: mp.mpf) -> mp.mpf:
    """(2 atanh(s) - 2 s) / s^3 with z = s^2."""
    return mp.fsum(2 * z**j / (2 * j + 3) for j in range(45))


def main() -> None:
    ln2 = mp.log(2)
    high = truncated(ln2, 11)
    print("log2(e)      ", float(1 / ln2).hex())
    print("ln 2, 42 bits", float(high).hex(), " rest", float(ln2 - high).hex())
    show("exp_tail", exp_tail, lambda r: abs(r) ** 3 + mp.mpf(2) ** -70, -HALF_LN2, HALF_LN2, 9)
    show("log_tail", log_tail, lambda z: z + mp.mpf(2) ** -70, mp.mpf(0), LARGEST_S**2, 7)


if __name__ == "__main__":
    main()
