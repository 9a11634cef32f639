"""Prints the tables of log, erf and the normal distribution in pairs of floats (cpp/math), as coefficients.py does.

python tests/exhaustive/float_coefficients.py
"""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import numpy.typing as npt
from coefficients import LN2, binary32, multiple_of

Doubles = npt.NDArray[np.float64]
ERF = np.vectorize(math.erf, otypes=[np.float64])

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
    print("log: 1/c, log(c), what it lacks; ln 2")
    for row in list(zip(*parts, strict=True))[:3]:
        print("    {" + ", ".join(float(v).hex() for v in row) + "},")
    high = multiple_of(LN2, -16)
    print("   ", float(high).hex(), float(binary32(LN2 - high)).hex())
    reach = max(part[3] for part in parts)
    r = np.cos(np.pi * (np.arange(40) + 0.5) / 40) * reach
    rest = [float((mp.log1p(mp.mpf(v)) - mp.mpf(v) + mp.mpf(v) ** 2 / 2) / mp.mpf(v) ** 3) for v in r]
    found = np.linalg.lstsq(r[:, None] ** np.arange(4) * r[:, None] ** 2, np.array(rest) * r**2)[0]
    print("    " + ", ".join(float(v).hex() for v in found.astype(np.float32)))


def main() -> None:
    show_float_log()
    print("\nerf: c, T, S, what it lacks, and p")
    for row in zip(*[erf_float_cell(i) for i in range(32)], strict=True):
        print("    {" + ", ".join(float(v).hex() for v in row) + "},")
    print("\nlog P(N(0, 1) <= -u): L, L' and L'' / 2 with what they lack, and p")
    for row in zip(*[log_cdf_cell(i) for i in range(32)], strict=True):
        print("    {" + ", ".join(float(v).hex() for v in row) + "},")


if __name__ == "__main__":
    main()
