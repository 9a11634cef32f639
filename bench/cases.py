"""The table of cases. Each row defines the computation, its operation count, and the runner method that prepares it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench import convolutions
from bench.nets import HEAVY_FLOPS, NETS, PUBLISHED, Net


@dataclass(frozen=True)
class Case:
    """One computation to time.

    `kind` is the name of the runner method that prepares it; `flops` and `bytes` are the operations of one call and the
    least memory traffic it needs (0: not meaningful); ``--quick`` excludes `heavy` cases.
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


# m x k x n of the matrix products: shapes of the nets, square matrices up to 1024, batch 1 and narrow outputs.
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
# Matrix products of the backward pass through 784 -> 512 at batch 128: data gradient g W^T, weight gradient x^T g.
TRANSPOSED = (("nt", 128, 512, 784), ("tn", 784, 128, 512), ("tn", 64, 64, 64), ("tn", 128, 128, 10))

# Layers of small nets with few outputs at batch 200: x W, the weight gradient x^T g, the data gradient g W^T.
NARROW = tuple(
    shape for n in (1, 2, 3, 7, 10) for shape in (("nn", 200, 100, n), ("tn", 100, 200, n), ("nt", 200, n, 100))
)

UNARY = ("copy", "relu", "exp", "tanh", "sigmoid", "softplus", "log", "cos", "erf", "gelu", "selu")
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
    """A case of one forward pass or one training step over `batch` rows."""
    per_row = net.forward_flops if kind in ("forward", "predict") else net.step_flops
    flops = per_row * batch
    params = net.params | {"batch": batch} | more
    name = f"{kind} {net.name} @{batch}"
    return Case(name, kind, kind, params, elements=batch, flops=flops, heavy=flops > HEAVY_FLOPS)


def _normed(norm: str, dropout: float) -> Case:
    """A training step of a net with batch or layer norm, with SGD, or with dropout and AdamW."""
    name = f"normed {norm}" + (" dropout adamw" if dropout else "")
    return _layers_step(name, Net((30, 128, 128, 2), 256), norm, dropout, "adamw" if dropout else "sgd")


def _layers_step(name: str, net: Net, norm: str, dropout: float, optimizer: str) -> Case:
    """A training step of a model that is built of layers; `norm` may be "none"."""
    params = net.params | {"norm": norm, "dropout": dropout, "optimizer": optimizer}
    group = name.split()[0]
    return Case(name, group, "layers_step", params, elements=net.batch, flops=net.step_flops * net.batch)


def _adam(net: Net) -> Case:
    return _layers_step(f"adam {net.name} @{net.batch}", net, "none", 0.0, "adam")


def _epoch(net: Net) -> Case:
    rows, epochs = net.epochs
    return _net("epoch", net, net.batch, rows=rows, epochs=epochs)


def _predict(net: Net) -> list[Case]:
    """Predictions, which do not depend on the loss."""
    plain = Net(net.widths, net.batch, net.activation)
    return [_net("predict", plain, batch) for batch in (1, net.batch)]


def _run(name: str, widths: tuple[int, ...], batch: int, epochs: int) -> Case:
    return Case(f"run {name}", "runs", "run", Net(widths, batch).params | {"epochs": epochs})


def _recommender(optimizer: str) -> Case:
    """A training step of a recommender with two tables of 100,000 rows."""
    params = {"rows": 100_000, "columns": 32, "hidden": 32, "batch": 1024, "optimizer": optimizer}
    return Case(f"recommender {optimizer} @1024", "recommender", "recommender", params, elements=1024)


def _calls() -> list[Case]:
    """Call overhead, with almost no arithmetic: into `out`, returning a tensor, recording a graph node."""
    return [
        _matmul(2, 2, 2, group="call"),
        _elementwise("unary", "relu", 1, group="call"),
        _elementwise("binary", "add", 1, group="call"),
        Case("call add 1 returned", "call", "add_returned", {"size": 1}, elements=1),
        Case("call add 1 recorded", "call", "add_recorded", {"size": 1}, elements=1),
    ]


def _sequence(net: str, batch: int) -> Case:
    """A training step of a recurrent layer of 64 units or of two encoder layers, on 32 steps, with a linear layer."""
    steps, n, wide, layers = 32, 64, 128, 2
    params = {"net": net, "batch": batch, "steps": steps, "units": n, "classes": 4}
    if net == "transformer":
        params |= {"heads": 4, "wide": wide, "layers": layers}
        forward = layers * (4 * n * n + 2 * n * wide + 2 * steps * n)  # multiplications of a step
        products = 3 * forward - 3 * n * n  # inputs have no gradient
    else:
        products = 5 * {"gru": 3, "lstm": 4}[net] * n * n  # of the states three, of the inputs two
    flops = 2.0 * products * batch * steps
    return Case(f"sequence {net} @{batch}", "sequence", "sequence", params, elements=batch, flops=flops)


def _convolutional(net: str) -> Case:
    """A training step of a net of convolutions."""
    params = convolutions.NETS[net] | {"dropout": 0.0, "optimizer": "sgd", "loss": "cross entropy"}
    flops, batch = convolutions.shapes_of(params)[1], params["batch"]
    return Case(f"conv {net} @{batch}", "conv", "conv_step", params, elements=batch, flops=flops * batch)


def _all_cases() -> tuple[Case, ...]:
    rows = [_matmul(*shape) for shape in PEER_SHAPES + MORE_SHAPES]
    rows += [_matmul(m, k, n, layout) for layout, m, k, n in TRANSPOSED]
    rows += [_matmul(size, size, size, dtype="float64") for size in (64, 512)]
    rows += [
        _matmul(m, k, n, layout, dtype, "narrow") for dtype in ("float32", "float64") for layout, m, k, n in NARROW
    ]
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
    rows += [_normed(norm, dropout) for dropout in (0.0, 0.2) for norm in ("batch", "layer")]
    rows += [_adam(net) for net in (Net((784, 256, 128, 10), 64), Net((64, 128, 10), 128))]
    rows += [_recommender(optimizer) for optimizer in ("sgd", "adam")]
    rows += [_sequence(*of) for of in (("gru", 32), ("gru", 1), ("lstm", 32), ("lstm", 1), ("transformer", 32))]
    rows += [_convolutional(net) for net in convolutions.NETS]
    return tuple(rows + _calls())


CASES = _all_cases()
# Training runs on real data, for `bench.runs`: widths, batch and epochs; the digits with the settings of `chainrule
# train`.
RUNS = (_run("fashion-mnist", (784, 256, 128, 10), 64, 1), _run("digits", (64, 128, 10), 32, 30))

DEFAULT_GROUPS = ("epoch", "step", "predict")  # of a run without arguments: the nets
GROUPS = tuple(dict.fromkeys(case.group for case in CASES))
BY_NAME = {case.name: case for case in CASES + RUNS}


def select(patterns: list[str], quick: bool = False) -> list[Case]:
    """Cases whose group equals, or whose name contains, one of the patterns.

    The default is DEFAULT_GROUPS; "all" selects every case. ValueError, listing the groups, for a pattern without a
    match.
    """
    patterns = patterns or list(DEFAULT_GROUPS)
    for pattern in patterns:
        if not any(_matches(case, pattern) for case in CASES):
            raise ValueError(f"no benchmark case matches {pattern!r}; groups: {', '.join(GROUPS)}, or all")
    selected = [case for case in CASES if any(_matches(case, pattern) for pattern in patterns)]
    return [case for case in selected if not (quick and case.heavy)]


def _matches(case: Case, pattern: str) -> bool:
    return pattern in ("all", case.group) or pattern in case.name
