"""The one list of cases. Each row says what is computed, how it is counted, and which runner method prepares it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Case:
    """One thing to time.

    `kind` is the name of the runner method that prepares it; `flops` and `bytes` are what one call does and what it
    must move at least (0: not a meaningful figure); `heavy` cases are left out by ``--quick``.
    """

    name: str
    group: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    elements: int = 0
    flops: float = 0.0
    bytes: float = 0.0
    heavy: bool = False


# m x k x n of the matrix products: the shapes of the nets, squares up to 1024, batch 1 and narrow outputs.
PEER_SHAPES = (
    (17, 33, 65),
    (32, 64, 64),
    (64, 64, 64),
    (128, 512, 10),
    (128, 784, 512),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (4096, 256, 256),
    (1, 784, 512),
)
MORE_SHAPES = ((8, 8, 8), (16, 16, 16), (32, 16, 2), (128, 128, 128), (128, 128, 10), (32, 784, 128), (1, 64, 128))
# The products of a backward pass through 784 -> 512 at batch 128: data gradient g W^T, weight gradient x^T g.
TRANSPOSED = (("nt", 128, 512, 784), ("tn", 784, 128, 512), ("tn", 64, 64, 64), ("tn", 128, 128, 10))

UNARY = ("copy", "relu", "exp", "tanh", "sigmoid", "softplus", "log")
BINARY = ("add",)
SIZES = (8192, 1 << 20)


@dataclass(frozen=True)
class Net:
    """A fully connected net: widths from input to classes, the hidden activation, the batch of a training step."""

    widths: tuple[int, ...]
    batch: int
    activation: str = "relu"

    @property
    def name(self) -> str:
        suffix = "" if self.activation == "relu" else f" {self.activation}"
        return "-".join(map(str, self.widths)) + suffix

    @property
    def weights(self) -> int:
        return sum(a * b for a, b in pairwise(self.widths))


NETS = (
    Net((2, 16, 16, 2), 32),
    Net((17, 64, 64, 6), 64, "tanh"),
    Net((32, 64, 64, 4), 64),
    Net((64, 128, 10), 128),
    Net((784, 128, 10), 32),
    Net((784, 512, 256, 10), 128),
    Net((1024, 2048, 2048, 1000), 256),
)
HEAVY_FLOPS = 1e9


def _matmul(m: int, k: int, n: int, layout: str = "nn", dtype: str = "float32", group: str = "matmul") -> Case:
    suffix = ("" if layout == "nn" else f" {layout}") + ("" if dtype == "float32" else f" {dtype}")
    flops = 2.0 * m * n * k
    params = {"m": m, "k": k, "n": n, "layout": layout}
    name = f"{group} {m}x{k}x{n}{suffix}"
    return Case(name, group, "matmul", params, dtype, m * n, flops, heavy=flops > HEAVY_FLOPS)


def _elementwise(kind: str, op: str, size: int, dtype: str = "float32", group: str = "elementwise") -> Case:
    streams = {"unary": 2, "binary": 3}[kind]
    itemsize = {"float32": 4, "float64": 8}[dtype]
    suffix = "" if dtype == "float32" else f" {dtype}"
    params = {"op": op, "size": size}
    return Case(f"{group} {op} {size}{suffix}", group, kind, params, dtype, size, 0.0, streams * itemsize * size)


def _softmax(rows: int, columns: int) -> Case:
    params = {"rows": rows, "columns": columns}
    return Case(f"softmax {rows}x{columns}", "softmax", "softmax", params, elements=rows * columns)


def _net(kind: str, net: Net, batch: int) -> Case:
    # Per row and weight: 2 flops forward, 2 for the weight gradient, 2 for the data gradient but of the first layer.
    first = net.widths[0] * net.widths[1]
    per_row = 2.0 * net.weights if kind == "forward" else 6.0 * net.weights - 2.0 * first
    flops = per_row * batch
    params = {"widths": net.widths, "activation": net.activation, "batch": batch}
    return Case(
        f"{kind} {net.name} @{batch}", kind, kind, params, elements=batch, flops=flops, heavy=flops > HEAVY_FLOPS
    )


def _calls() -> list[Case]:
    """What a call costs when there is nothing to compute: `out` given, a tensor returned, a tensor recorded."""
    return [
        _matmul(2, 2, 2, group="call"),
        _elementwise("unary", "relu", 1, group="call"),
        _elementwise("binary", "add", 1, group="call"),
        Case("call add 1 returned", "call", "add_returned", {"size": 1}, elements=1),
        Case("call add 1 recorded", "call", "add_recorded", {"size": 1}, elements=1),
    ]


def _all_cases() -> tuple[Case, ...]:
    rows = [_matmul(*shape) for shape in PEER_SHAPES + MORE_SHAPES]
    rows += [_matmul(m, k, n, layout) for layout, m, k, n in TRANSPOSED]
    rows += [_matmul(size, size, size, dtype="float64") for size in (64, 512)]
    rows += [_elementwise("unary", op, size) for size in SIZES for op in UNARY]
    rows += [_elementwise("binary", op, size) for size in SIZES for op in BINARY]
    rows += [_elementwise("unary", op, 8192, "float64") for op in ("exp", "tanh")]
    rows += [_softmax(*shape) for shape in ((1, 10), (128, 10), (256, 1000))]
    rows += [_net("forward", net, batch) for net in NETS for batch in (1, net.batch)]
    rows += [_net("gradient", net, net.batch) for net in NETS]
    rows += [_net("step", net, net.batch) for net in NETS]
    return tuple(rows + _calls())


CASES = _all_cases()
GROUPS = tuple(dict.fromkeys(case.group for case in CASES))
BY_NAME = {case.name: case for case in CASES}


def select(patterns: list[str], quick: bool = False) -> list[Case]:
    """Cases whose group equals, or whose name contains, one of the patterns (all when there is none).

    Raises ValueError, listing the groups, for a pattern that selects nothing.
    """
    for pattern in patterns:
        if not any(pattern == case.group or pattern in case.name for case in CASES):
            raise ValueError(f"no benchmark case matches {pattern!r}; groups: {', '.join(GROUPS)}")
    chosen = [c for c in CASES if not patterns or any(p == c.group or p in c.name for p in patterns)]
    return [case for case in chosen if not (quick and case.heavy)]
