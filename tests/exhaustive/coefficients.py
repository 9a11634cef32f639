"""Prints the tables, polynomials and constants of cpp/math as hexadecimal floats (requires mpmath and NumPy).

    python tests/exhaustive/coefficients.py

A polynomial is the minimax fit of the named function on the reduced interval (weighted Remez exchange with 60 digits).
Its coefficients are rounded to binary64, or to binary32 for pairs of floats; the printed error is the largest weighted
error after that rounding, as a power of 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import numpy.typing as npt

mp.mp.dps = 60
Real = Callable[[mp.mpf], mp.mpf]
Longs = npt.NDArray[np.longdouble]
Doubles = npt.NDArray[np.float64]
ERF = np.vectorize(math.erf, otypes=[np.float64])

LN2 = mp.log(2)
# Half the distance between two table entries of exp, with a margin for the rounding of k.
EXP_RADIUS = LN2 / 32 * (1 + mp.mpf(2) ** -20)
# Largest |z / c - 1| in the intervals of log.
LOG_RADIUS = mp.mpf(1) / 32
# Lower bound of the first interval of log; the intervals are 2^48 ULP wide and one of them is centred at 1.
LOG_START = 0x3FE6800000000000


def remez(function: Real, weight: Real, low: mp.mpf, high: mp.mpf, degree: int) -> list[mp.mpf]:
    """Coefficients c of the polynomial with the smallest max |weight * (c - function)| on [low, high]."""
    count = degree + 2
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]
    coefficients: list[mp.mpf] = []
    for _ in range(10):
        rows = [[x**j for j in range(degree + 1)] + [(-1) ** i / weight(x)] for i, x in enumerate(points)]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix([function(x) for x in points]))
        coefficients = [solution[j] for j in range(degree + 1)]
        grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / 400) for i in range(401)]
        errors = [weighted_error(coefficients, function, weight, x) for x in grid]
        points = alternation(grid, errors, count)
    return coefficients


def weighted_error(coefficients: list[mp.mpf], function: Real, weight: Real, x: mp.mpf) -> mp.mpf:
    return weight(x) * (mp.polyval(coefficients[::-1], x) - function(x))


def alternation(grid: list[mp.mpf], errors: list[mp.mpf], count: int) -> list[mp.mpf]:
    """The point of the largest error in each run of equal sign; surplus runs are dropped from the ends."""
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
        raise ArithmeticError(f"remez: {len(best)} alternations, expected at least {count}")
    return [grid[i] for i in best]


def power_series(series: list[mp.mpf]) -> Real:
    return lambda x: mp.polyval(series[::-1], x)


def binary64(value: mp.mpf) -> mp.mpf:
    return mp.mpf(float(value))


def binary32(value: mp.mpf) -> mp.mpf:
    return mp.mpf(float(np.float32(float(value))))


def show(name: str, function: Real, weight: Real, radius: mp.mpf, degree: int, rounded: Real = binary64) -> None:
    coefficients = [rounded(c) for c in remez(function, weight, -radius, radius, degree)]
    worst = max(abs(weighted_error(coefficients, function, weight, radius * i / 500)) for i in range(-500, 501))
    show_table(f"{name}: degree {degree}, error 2^{float(mp.log(worst, 2)):.1f}", coefficients)


def show_table(name: str, values: list[mp.mpf]) -> None:
    print(f"\n{name}")
    for i in range(0, len(values), 4):
        print("    " + ", ".join(float(v).hex() for v in values[i : i + 4]) + ",")


def multiple_of(value: mp.mpf, exponent: int) -> mp.mpf:
    """Value rounded to a multiple of 2^exponent."""
    return mp.nint(value * mp.mpf(2) ** -exponent) * mp.mpf(2) ** exponent


def log_interval(i: int) -> tuple[mp.mpf, mp.mpf]:
    """1/c and log(c) for interval i: c near its centre, log(c) within 2^-64 of a multiple of 2^-42 (Gal's method)."""
    first, last = np.array([LOG_START + (i << 48), LOG_START + ((i + 1) << 48)], np.int64).view(np.float64)
    if first < 1 < last:
        return mp.mpf(1), mp.mpf(0)
    start = mp.mpf(float(2 / (first + last)))
    steps = np.arange(1 << 23).astype(np.longdouble)
    relative = mp.mpf(2) ** -45 / start
    # log(c) = -log(1/c), as a fraction of 2^-42.
    origin = np.longdouble(str(mp.frac(-mp.log(start) * 2**42)))
    fractions = origin - np.log1p(steps * np.longdouble(str(relative))) * np.longdouble(2.0**42)
    step = int(np.argmin(np.abs(fractions - np.rint(fractions))))
    inverse = start + step * mp.mpf(2) ** -45
    log_c = -mp.log(inverse)
    if abs(log_c - multiple_of(log_c, -42)) > mp.mpf(2) ** -64 or mp.mpf(float(inverse)) != inverse:
        raise ArithmeticError(f"log_interval: no accurate table point in interval {i}")
    return inverse, multiple_of(log_c, -42)


# erf(c + d) with centres c at multiples of the width; the first cell is d times a polynomial with constant term
# 2 / sqrt(pi).
QUICK_ERF_WIDTH, ERF_WIDTH = mp.mpf(33) / 128, mp.mpf(25) / 64
SLOPE = 2 / mp.sqrt(mp.pi)


def odd_term(power: int) -> mp.mpf:
    """The coefficient of d^power in erf(d) / (d 2 / sqrt(pi)), power even."""
    return (-1) ** (power // 2) / mp.factorial(power // 2) / (power + 1)


def erf_cell(i: int, width: mp.mpf, degree: int) -> tuple[list[mp.mpf], mp.mpf]:
    """Coefficients in d, and the largest relative error."""
    centre, radius = i * width, width / 2 * (1 + mp.mpf(2) ** -20)
    if i > 0:
        return cell(lambda d: mp.erf(centre + d), -radius, radius, degree)
    tail = power_series([SLOPE * odd_term(power + 1) if power % 2 else mp.mpf(0) for power in range(60)])

    def weight(d: mp.mpf) -> mp.mpf:
        return d / (SLOPE + d * tail(d)) + mp.mpf(2) ** -80

    found = remez(tail, weight, mp.mpf(0), radius, degree - 2)
    worst = max(abs(weighted_error(found, tail, weight, radius * i / 200)) for i in range(201))
    return [mp.mpf(0), SLOPE, *found], worst


def mills(u: mp.mpf) -> mp.mpf:
    """The upper tail of the normal distribution divided by exp(-u^2 / 2)."""
    return mp.erfc(u / mp.sqrt(2)) * mp.exp(u * u / 2) / 2


def mills_cell(i: int, parts: int, first: mp.mpf, degree: int) -> tuple[list[mp.mpf], mp.mpf]:
    """Cell i of 16: u + first in one of `parts` equal parts of a binade; i are the low bits of exponent and part."""
    part = mp.mpf(i % parts) / parts
    octaves = (e for e in range(10) if (e + 1023) * parts % 16 + i % parts == i)
    low = next(2**e * (1 + part) for e in octaves if 2**e * (1 + part) >= first)
    width = mp.mpf(2) ** mp.floor(mp.log(low, 2)) / parts
    radius = width / 2 * (1 + mp.mpf(2) ** -20)
    return cell(lambda d: mills(low + width / 2 - first + d), -radius, radius, degree)


def cell(function: Real, low: mp.mpf, high: mp.mpf, degree: int) -> tuple[list[mp.mpf], mp.mpf]:
    """The polynomial with the smallest relative error, and that error."""

    def weight(d: mp.mpf) -> mp.mpf:
        return 1 / function(d)

    found = remez(function, weight, low, high, degree)
    return found, max(abs(weighted_error(found, function, weight, low + (high - low) * i / 200)) for i in range(201))


def show_cells(name: str, cells: list[tuple[list[mp.mpf], mp.mpf]], pairs: int) -> None:
    """One table per coefficient, with 16 cells; the first `pairs` coefficients are split into high and low parts."""
    rows: list[list[mp.mpf]] = []
    for j, row in enumerate(zip(*[c for c, _ in cells], strict=True)):
        rows.append([binary64(c) for c in row])
        if j < pairs:
            rows.append([binary64(c - binary64(c)) for c in row])
    worst = max(error for _, error in cells)
    print(f"\n{name}: degree {len(cells[0][0]) - 1}, error 2^{float(mp.log(worst, 2)):.1f}")
    for values in rows:
        print("    {" + ", ".join(float(v).hex() for v in values) + "},")


# v = TANH_SCALE |x| + TANH_START; TANH_END: an argument beyond which tanh(x) rounds to 1; TANH_FIRST: the first cell.
TANH_SCALE, TANH_START, TANH_END = 1.4375, 0.903, 9.1
TANH_FIRST = int(np.float32(TANH_START).view(np.uint32)) >> 20


def tanh_long(x: Longs) -> Longs:
    return np.asarray(np.expm1(2 * x) / (np.expm1(2 * x) + 2))


def tanh_points(low: np.longdouble, high: np.longdouble) -> Longs:
    return np.asarray((low + high) / 2 - (high - low) / 2 * np.cos(np.pi * (np.arange(24) + np.longdouble(0.5)) / 24))


def tanh_centre(low: np.longdouble, high: np.longdouble) -> list[np.float32]:
    """c near the centre, T, and 1 - T^2 and T (1 - T^2) in binary32, all accurate to about 2^-36 of tanh (Gal)."""
    parts = (0.4, 0.55) if low < 7 else (0.1, 0.9)  # T grows by a few units only
    first, last = (int(np.float32(low + part * (high - low)).view(np.uint32)) for part in parts)
    c = np.arange(first, last, dtype=np.uint32).view(np.float32)
    t = tanh_long(c.astype(np.longdouble)).astype(np.float32)
    near = np.abs(t - tanh_long(c.astype(np.longdouble))) < 2.0**-35 * t
    c, t = c[near], t[near]
    slope = (1 - t.astype(np.float64) ** 2).astype(np.float32)
    exact = tanh_long(c.astype(np.longdouble))
    expected = exact, (1 - exact) * (1 + exact), -exact * (1 - exact) * (1 + exact)
    lacks = np.array([(f - x).astype(np.float64) for f, x in zip((t, slope, -t * slope), expected, strict=True)])
    # The part of the errors of the first three terms that p cannot compensate, and the rounding of the fourth.
    points = tanh_points(low, high)
    value, d = tanh_long(points), (points - (low + high) / 2).astype(np.float64)
    powers = (d[:, None] ** np.arange(7) / value[:, None]).astype(np.float64)
    fit = np.linalg.qr(powers[:, 3:])[0]
    residual = powers[:, :3] - fit @ (fit.T @ powers[:, :3])
    error = np.abs(residual @ lacks).max(axis=0)
    reach = np.maximum((high - c) ** 3 / tanh_long(high), (c - low) ** 3 / tanh_long(low))
    best = int(np.argmin(error + 2.0**-23 * reach * slope * np.abs(t * t - 1 / 3)))
    return [c[best], t[best], slope[best], t[best] * slope[best]]


def tanh_cell(index: int) -> list[mp.mpf]:
    """c, T and p of the cell with these low bits; tanh(c + d) = T + (1 - T^2) (d - T d^2) + d^3 p(d), in binary32."""
    cell = TANH_FIRST + (index - TANH_FIRST) % 32
    bounds = np.array([cell << 20, (cell + 1) << 20], np.uint32).view(np.float32).astype(np.longdouble)
    low, high = np.clip((bounds - np.float32(TANH_START)) / TANH_SCALE, 0, TANH_END)
    c, t, slope, curve = tanh_centre(low, high) if low > 0 else [np.float32(v) for v in (0, 0, 1, 0)]
    points = tanh_points(low, high)
    value, d = tanh_long(points), points - c
    radius = high - low
    powers = (d / radius)[:, None] ** np.arange(3, 7) / value[:, None]
    rest = (value - t - d * (np.longdouble(slope) - d * curve)) / value
    found = np.linalg.lstsq(powers.astype(np.float64), rest.astype(np.float64))[0] / radius ** np.arange(3, 7)
    return [mp.mpf(float(v)) for v in (c, t, *found.astype(np.float32))]


# erf in floats: v = ERF_SCALE |x| + ERF_START; ERF_END: beyond it erf(x) rounds to 1; ERF_FIRST: the first cell.
ERF_SCALE, ERF_START, ERF_END = 1.65625, 0.46875, 3.925
ERF_FIRST = int(np.float32(ERF_START).view(np.uint32)) >> 20


def erf_slope(c: Doubles) -> Doubles:
    return np.asarray(2 / np.sqrt(np.pi) * np.exp(-c * c))


def erf_points(low: float, high: float) -> Doubles:
    return np.asarray((low + high) / 2 - (high - low) / 2 * np.cos(np.pi * (np.arange(24) + 0.5) / 24))


def erf_centre(low: float, high: float) -> np.float32:
    """c near the centre, where erf(c) and c erf'(c) lack least in binary32 (Gal)."""
    parts = (0.42, 0.58) if low < 3 else (0.1, 0.9)  # erf grows by a few units only
    first, last = (int(np.float32(low + part * (high - low)).view(np.uint32)) for part in parts)
    c = np.arange(first, last, max(1, (last - first) // 40000), dtype=np.uint32).view(np.float32)
    lacks = np.abs(ERF(c.astype(np.float64)).astype(np.float32) / ERF(c.astype(np.float64)) - 1)
    near = lacks < 2.0**-34.5
    c = c[near] if near.sum() >= 8 else c[np.argsort(lacks)[:50]]
    exact = c.astype(np.float64)
    slope = erf_slope(exact)
    curve = (c * slope.astype(np.float32)).astype(np.float64) - exact * slope
    points = erf_points(low, high)
    d, value = points[:, None] - exact, ERF(points)[:, None]
    error = np.abs(ERF(exact).astype(np.float32) - ERF(exact)) + np.abs(curve) * d * d
    error = error + 2.0**-24 * np.abs(d**3 * slope * (4 * exact * exact - 2) / 6)  # the rounding of the fourth term
    return np.float32(c[int(np.argmin((error / value).max(axis=0)))])


def erf_float_cell(index: int) -> list[mp.mpf]:
    """c, T, S, what S lacks, and p of the cell with these low bits, in binary32."""
    cell = ERF_FIRST + (index - ERF_FIRST) % 32
    bounds = np.array([cell << 20, (cell + 1) << 20], np.uint32).view(np.float32).astype(np.float64)
    low, high = (float(v) for v in np.clip((bounds - ERF_START) / ERF_SCALE, 0, ERF_END))
    if low == high:
        return [mp.mpf(0)] * 8
    c = erf_centre(low, high) if low > 0 else np.float32(0)
    t, exact = np.float32(math.erf(c)), 2 / math.sqrt(math.pi) * math.exp(-(float(c) ** 2))
    slope = np.float32(exact)
    rest_of_slope = np.float32(exact - float(slope))
    points = erf_points(low, high)
    value, d, radius = ERF(points), points - float(c), high - low
    powers = (d / radius)[:, None] ** np.arange(3, 7) / value[:, None]
    line = float(slope) + float(rest_of_slope) - d * float(c * slope)
    found = np.linalg.lstsq(powers, (value - float(t) - d * line) / value)[0] / radius ** np.arange(3, 7)
    return [mp.mpf(float(v)) for v in (c, t, slope, rest_of_slope, *found.astype(np.float32))]


# log P(N(0, 1) <= -u) in floats: cells of CDF_WIDTH, up to a float beside the middle of whose value and the next it is
# doubtful.
CDF_WIDTH, CDF_END = mp.mpf(11) / 32, mp.mpf(float.fromhex("0x1.56f1f6p+3"))


def log_cdf(u: mp.mpf) -> mp.mpf:
    return mp.log(mp.erfc(u / mp.sqrt(2)) / 2)


def log_cdf_cell(i: int) -> list[mp.mpf]:
    """The value and what it lacks, the slope, what it lacks, half the curvature, what it lacks, and p, in binary32."""
    c = i * CDF_WIDTH
    low, high = max(mp.mpf(0), c - CDF_WIDTH / 2), min(CDF_END, c + CDF_WIDTH / 2)
    hazard = mp.npdf(c) / mp.exp(log_cdf(c))
    terms = []
    for term in (log_cdf(c), -hazard, -hazard * (hazard - c) / 2):
        terms += [binary32(term), binary32(term - binary32(term))]
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (j + mp.mpf(1) / 2) / 20) for j in range(20)]
    line = [log_cdf(u) - sum(terms[j] * (u - c) ** (j // 2) for j in range(6)) for u in points]
    powers = np.array([float((u - c) / (high - low)) for u in points])[:, None] ** np.arange(3, 7)
    found = np.linalg.lstsq(powers, np.array([float(v) for v in line]))[0]
    return [*terms, *(binary32(mp.mpf(v) / (high - low) ** (3 + j)) for j, v in enumerate(found))]


# log in floats: the lower bound of the first of 32 parts, 2^18 units wide each; 1 is in the middle of one.
FLOAT_LOG_START = 0x3F360000


def float_log_part(i: int) -> tuple[mp.mpf, mp.mpf, mp.mpf, float]:
    """1/c of so few bits that z/c - 1 is exact, log(c) as a multiple of 2^-16, what that lacks, and max |z/c - 1|."""
    patterns = [FLOAT_LOG_START + (i << 18), FLOAT_LOG_START + ((i + 1) << 18) - 1]
    low, high = (float(z) for z in np.array(patterns, np.uint32).view(np.float32))
    reach, inverse = 1.0, 1.0
    for bits in (6, 7) if high < 1 else (7, 8):  # the unit of z is half as large below 1
        step = 2.0 ** (1 - bits)
        near = round(2 / (low + high) / step) * step
        for v in [1.0] if low < 1 < high else (near - step, near, near + step):
            found = max(abs(low * v - 1), abs(high * v - 1))
            exact = found < 2.0 ** -(5 if bits == (6 if high < 1 else 7) else 6)
            reach, inverse = min((reach, inverse), (found, v)) if exact else (reach, inverse)
    log_c = -mp.log(mp.mpf(inverse))
    return mp.mpf(inverse), multiple_of(log_c, -16), binary32(log_c - multiple_of(log_c, -16)), reach


def show_float_log() -> None:
    parts = [float_log_part(i) for i in range(32)]
    print("\nlog, pairs of floats: 1/c, log(c), what it lacks; ln 2")
    for row in list(zip(*parts, strict=True))[:3]:
        print("    {" + ", ".join(float(v).hex() for v in row) + "},")
    high = multiple_of(LN2, -16)
    print("   ", float(high).hex(), float(binary32(LN2 - high)).hex())
    reach = max(part[3] for part in parts)
    r = np.cos(np.pi * (np.arange(40) + 0.5) / 40) * reach
    rest = [float((mp.log1p(mp.mpf(v)) - mp.mpf(v) + mp.mpf(v) ** 2 / 2) / mp.mpf(v) ** 3) for v in r]
    found = np.linalg.lstsq(r[:, None] ** np.arange(4) * r[:, None] ** 2, np.array(rest) * r**2)[0]
    print("    " + ", ".join(float(v).hex() for v in found.astype(np.float32)))


def sine_over(s: mp.mpf) -> mp.mpf:
    """sin(r) / r as a function of s = r^2."""
    return mp.sinc(mp.sqrt(s))


def sine_rest(s: mp.mpf) -> mp.mpf:
    """(sin(r) - r) / r^3 as a function of s = r^2."""
    return mp.polyval([(-1) ** (j + 1) / mp.factorial(2 * j + 3) for j in range(20)][::-1], s)


def cosine_rest(s: mp.mpf) -> mp.mpf:
    """(cos(r) - 1) / r^2 as a function of s = r^2."""
    return mp.polyval([(-1) ** (j + 1) / mp.factorial(2 * j + 2) for j in range(20)][::-1], s)


def show_sines() -> None:
    """Table, polynomials and constants of sin and cos; their steps are pi / 16."""
    step = mp.pi / 16
    parts = [multiple_of(step, -32)]
    parts.append(multiple_of(step - parts[0], -62))
    parts.append(binary64(step - parts[0] - parts[1]))
    parts.append(binary64(step - parts[0] - parts[1] - parts[2]))
    show_table("16 / pi and pi / 16 in four parts, the first two of 30 bits", [binary64(1 / step), *parts])
    for name, value in (("1 / pi, pi", mp.pi), ("2 pi", 2 * mp.pi)):
        pair = [binary64(value), binary64(value - binary64(value))]
        show_table(f"{name} and what it lacks", [binary64(1 / value), *pair])
    with mp.workprec(1500):
        digits = int(mp.floor(mp.mpf(2) ** (19 * 64) / (2 * mp.pi)))
    words = [0] + [digits >> 64 * i & (1 << 64) - 1 for i in range(18, -1, -1)]
    print("\n1 / (2 pi) after the point, in words of 64 bits, after a word 0")
    for i in range(0, len(words), 4):
        print("    " + ", ".join(f"0x{w:016x}" for w in words[i : i + 4]) + ",")
    for name, function in (("sines", mp.sin), ("cosines", mp.cos)):
        values = [mp.mpf(0) if abs(function(j * step)) < mp.mpf(2) ** -90 else function(j * step) for j in range(16)]
        show_table(f"{name} of j pi / 16, high parts", values)
        show_table(f"{name} of j pi / 16, low parts", [v - binary64(v) for v in values])
    reach = mp.pi / 2 * (1 + mp.mpf(2) ** -20)
    near = step / 2 * (1 + mp.mpf(2) ** -20)
    rows = (("sin(r) / r", sine_over, reach, 6), ("(sin(r) - r) / r^3", sine_rest, near, 3))
    for name, function, radius, degree in (*rows, ("(cos(r) - 1) / r^2", cosine_rest, near, 4)):
        found, error = cell(function, mp.mpf(0), radius**2, degree)
        show_table(f"{name} in r^2: degree {degree}, error 2^{float(mp.log(error, 2)):.1f}", found)


def main() -> None:
    step = LN2 / 16
    step_high = multiple_of(step, -42)
    print("16 / ln 2         ", float(1 / step).hex())
    print("ln 2 / 16 for exp ", float(step_high).hex(), float(step - step_high).hex(), " in one", float(step).hex())
    ln2_high = multiple_of(LN2, -42)
    print("ln 2 for log      ", float(ln2_high).hex(), float(LN2 - ln2_high).hex(), " in one", float(LN2).hex())

    powers = [mp.mpf(2) ** (mp.mpf(j) / 16) for j in range(16)]
    show_table("2^(j/16), high parts", powers)
    show_table("2^(j/16), low parts", [p - mp.mpf(float(p)) for p in powers])
    intervals = [log_interval(i) for i in range(16)]
    show_table("1/c", [inverse for inverse, _ in intervals])
    show_table("log(c)", [log_c for _, log_c in intervals])

    exp_series = power_series([1 / mp.factorial(j + 1) for j in range(30)])  # (e^r - 1) / r
    show("exp, float32: (e^r - 1) / r weighted by r", exp_series, lambda r: abs(r) + mp.mpf(2) ** -80, EXP_RADIUS, 3)
    show("expm1, float32: (e^r - 1) / r", exp_series, lambda r: mp.mpf(1), EXP_RADIUS, 4)
    exp_tail = power_series([1 / mp.factorial(j + 2) for j in range(30)])
    show("float64: (e^r - 1 - r) / r^2 weighted by r", exp_tail, lambda r: abs(r) + mp.mpf(2) ** -80, EXP_RADIUS, 5)
    roots = [mp.mpf(2) ** (mp.mpf(j) / 32) for j in range(32)]
    show_table("2^(j/32), binary32", [binary32(p) for p in roots])
    show_table("correction of its logarithm", [binary32(mp.log(p / binary32(p))) for p in roots])
    excess = binary32(LN2) - LN2
    print("\nln 2 in binary32   ", float(binary32(LN2)).hex(), "above by", float(binary32(excess)).hex())
    exp_third = power_series([1 / mp.factorial(j + 3) for j in range(30)])
    for count in (32, 16):
        radius = LN2 / (2 * count) * (1 + mp.mpf(2) ** -10)
        name = f"pairs of floats, {count} roots: (e^r - 1 - r - r^2/2) / r^3 weighted by r^3"
        show(name, exp_third, lambda r: abs(r) ** 3 + mp.mpf(2) ** -80, radius, 1, binary32)

    log_tail = power_series([(-1) ** (j + 1) / mp.mpf(j + 2) for j in range(60)])
    name = "(log(1 + r) - r) / r^2 weighted by r"
    show(f"float32: {name}", log_tail, lambda r: abs(r) + mp.mpf(2) ** -80, LOG_RADIUS, 4)
    show(f"float64: {name}", log_tail, lambda r: abs(r) + mp.mpf(2) ** -80, LOG_RADIUS, 9)

    print("\ntanh, pairs of floats: c, T and p")
    for row in zip(*[tanh_cell(i) for i in range(32)], strict=True):
        print("    {" + ", ".join(float(v).hex() for v in row) + "},")

    show_sines()

    show_float_log()

    print("\nerf, pairs of floats: c, T, S, what it lacks, and p")
    for row in zip(*[erf_float_cell(i) for i in range(32)], strict=True):
        print("    {" + ", ".join(float(v).hex() for v in row) + "},")
    print("\nlog P(N(0, 1) <= -u), pairs of floats: L, L' and L'' / 2 with what they lack, and p")
    for row in zip(*[log_cdf_cell(i) for i in range(32)], strict=True):
        print("    {" + ", ".join(float(v).hex() for v in row) + "},")
    show_cells("erf, float32", [erf_cell(i, QUICK_ERF_WIDTH, 8) for i in range(16)], 0)
    show_cells("erf, float64", [erf_cell(i, ERF_WIDTH, 14) for i in range(16)], 2)
    show_cells("mills, float32", [mills_cell(i, 8, mp.mpf("4.5"), 9) for i in range(16)], 0)
    show_cells("mills, float64", [mills_cell(i, 4, mp.mpf(3), 16) for i in range(16)], 2)


if __name__ == "__main__":
    main()
