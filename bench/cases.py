"""The one list of cases. Each row says what is computed, how it is counted, and which runner method prepares it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.nets import HEAVY_FLOPS, NETS, PUBLISHED, Net


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

UNARY = ("copy", "relu", "exp", "tanh", "sigmoid", "softplus", "log", "erf", "gelu", "selu")
BINARY = ("add",)
SIZES = (8192, 1 << 20)


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


def _net(kind: str, net: Net, batch: int, **more: Any) -> Case:
    """A case of one pass, or one step, over `batch` rows."""
    per_row = net.forward_flops if kind in ("forward", "predict") else net.step_flops
    flops = per_row * batch
    params = net.params | {"batch": batch} | more
    name = f"{kind} {net.name} @{batch}"
    return Case(name, kind, kind, params, elements=batch, flops=flops, heavy=flops > HEAVY_FLOPS)


def _epoch(net: Net) -> Case:
    rows, epochs = net.epochs
    return _net("epoch", net, net.batch, rows=rows, epochs=epochs)


def _predict(net: Net) -> list[Case]:
    """The net as it is asked, whatever it was trained for."""
    plain = Net(net.widths, net.batch, net.activation)
    return [_net("predict", plain, batch) for batch in (1, net.batch)]


def _run(name: str, widths: tuple[int, ...], batch: int, epochs: int) -> Case:
    return Case(f"run {name}", "runs", "run", Net(widths, batch).params | {"epochs": epochs})


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
    rows += [_net("forward", net, batch) for net in PUBLISHED for batch in (1, net.batch)]
    rows += [_net("gradient", net, net.batch) for net in PUBLISHED]
    rows += [_net("eager", net, net.batch) for net in NETS]
    rows += [_epoch(net) for net in NETS]
    rows += [_net("step", net, net.batch) for net in NETS]
    rows += [case for net in NETS for case in _predict(net)]
    return tuple(rows + _calls())


CASES = _all_cases()
# Trainings on real data, for `bench.runs`: widths, batch and epochs; the digits as `chainrule train` trains on them.
RUNS = (_run("fashion-mnist", (784, 256, 128, 10), 64, 1), _run("digits", (64, 128, 10), 32, 30))

DEFAULT_GROUPS = ("epoch", "step", "predict")  # the nets: what a run without arguments is about
GROUPS = tuple(dict.fromkeys(case.group for case in CASES))
BY_NAME = {case.name: case for case in CASES + RUNS}


def select(patterns: list[str], quick: bool = False) -> list[Case]:
    """Cases whose group equals, or whose name contains, one of the patterns.

    Without a pattern those of DEFAULT_GROUPS; "all" selects every case. Raises ValueError, listing the groups, for a
    pattern that selects nothing.
    """
    wanted = patterns or list(DEFAULT_GROUPS)
    for pattern in wanted:
        if not any(_matches(case, pattern) for case in CASES):
            raise ValueError(f"no benchmark case matches {pattern!r}; groups: {', '.join(GROUPS)}, or all")
    chosen = [case for case in CASES if any(_matches(case, pattern) for pattern in wanted)]
    return [case for case in chosen if not (quick and case.heavy)]


def _matches(case: Case, pattern: str) -> bool:
    return pattern in ("all", case.group) or pattern in case.name
