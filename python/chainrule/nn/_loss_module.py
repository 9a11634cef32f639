"""Modules of loss functions: options, documentation and examples are derived from the function."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number, is_integer
from ._module import Module

__all__ = ["LOSSES", "LossModule", "PenalizedLoss", "TripleLoss", "takes"]

LOSSES: list[type[LossModule]] = []  # every subclass, in the order of their definition


class _Documentation:
    """The docstring of a class, derived from that of its function on first access."""

    def __get__(self, instance: object, owner: type[LossModule]) -> str:
        name, documented = owner.function.__name__, inspect.getdoc(owner.function) or ""
        text, _, examples = documented.partition("\n>>> ")
        first, *paragraphs = text.strip().split("\n\n")
        *others, last = _tensors(owner.function)
        called = f"the {', the '.join(others)} and the {last}"
        usage = f"The module of `cr.{name}`: constructed with the options, called with {called}."
        lines = [_as_module(line, owner) for line in f">>> {examples}".split("\n")]
        owner.__doc__ = "\n\n".join([first, usage, *paragraphs, "\n".join(lines)])
        return owner.__doc__


class _Signature:
    """The signature of a class's constructor; instances have the signature of `__call__`."""

    def __get__(self, instance: object, owner: type[LossModule]) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, *[inspect.Parameter.KEYWORD_ONLY] * len(owner.defaults))
        pairs = zip(owner.defaults.items(), kinds, strict=False)
        return inspect.Signature([inspect.Parameter(name, kind, default=value) for (name, value), kind in pairs])


def _tensors(function: Callable[..., Tensor]) -> list[str]:
    """The names of the arguments before the reduction: prediction, target and what else a loss compares."""
    names = list(inspect.signature(function).parameters)
    return names[: names.index("reduction")]


def _as_module(line: str, owner: type[LossModule]) -> str:
    """Rewrite a line of an example: the call of the function becomes a call of the module with the same options."""
    function, module, tensors = owner.function.__name__, owner.__name__, len(_tensors(owner.function))
    prompt, found, source = line.partition(f"cr.{function}(")
    if not found:
        return line
    tree = ast.parse(found + source, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == function:
            layer = ast.parse(f"cr.nn.{module}", mode="eval").body
            node.func = ast.Call(func=layer, args=node.args[tensors:], keywords=node.keywords)
            node.args, node.keywords = node.args[:tensors], []
    return prompt + ast.unparse(tree).replace("'", '"')


class LossModule(Module):
    """A loss function as a module; reduction and options are attributes.

    A subclass is one row, `class HuberLoss(LossModule, of=ops.huber_loss): ...`; its options are the keyword arguments
    of the function. An option is converted to the type of its default; an option with default None is an array of
    weights, converted to numbers that a model file can store. `takes` is the kind of targets: "numbers", "labels", or
    "labels or probabilities".
    """

    function: ClassVar[Callable[..., Tensor]]
    defaults: ClassVar[dict[str, Any]]
    takes: ClassVar[str] = "numbers"
    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none")

    def __init_subclass__(cls, of: Callable[..., Tensor] | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if of is None:  # a subclass of a loss inherits the function
            return
        options: dict[str, Any] = getattr(of, "__kwdefaults__", {})
        cls.function = staticmethod(of)
        cls.defaults = {"reduction": "mean", **{n: value for n, value in options.items() if n != "sample_weight"}}
        cls.__doc__, cls.__signature__ = _Documentation(), _Signature()  # type: ignore[assignment, attr-defined]
        LOSSES.append(cls)

    def __init__(self, reduction: str = "mean", **options: Any) -> None:
        if reduction not in self.reductions:
            words = f"{', '.join(self.reductions[:-1])} or {self.reductions[-1]}"
            raise ValueError(f"{type(self).__name__}: reduction must be {words}, got {reduction!r}")
        unknown = [name for name in options if name not in self.defaults]
        if unknown:
            words = ", ".join(self.defaults)
            raise TypeError(f"{type(self).__name__}: unknown option {unknown[0]!r}, expected {words}")
        values = {"reduction": reduction, **options}
        for name, default in self.defaults.items():
            setattr(self, name, _converted(values.get(name, default), default))

    def config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.defaults}

    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Any = None) -> Tensor:
        return type(self).function(prediction, target, sample_weight=sample_weight, **self.config())


class TripleLoss(LossModule):
    """A loss that compares three tensors."""

    def forward(self, first: Tensor, second: Tensor, third: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
        return type(self).function(first, second, third, sample_weight=sample_weight, **self.config())


def _converted(value: Any, default: Any) -> Any:
    """An option converted to the type of its default; several numbers, and weights (default None), to a list."""
    if default is not None and np.ndim(value) == 0:
        return type(default)(value)
    if value is None or is_integer(value):
        return value if value is None else int(value)
    return np.asarray(value, dtype=np.float64).tolist()


class PenalizedLoss:
    """A loss plus a penalty on the model's parameters, loss + l1 * sum |w| + l2 * sum w**2, for `cr.fit`.

    l2 gives the same steps as `cr.optim.SGD` with a weight decay of 2 * l2, and includes the penalty in the loss.

    Arguments: `loss`, a loss module or function; `model`, a Module; `l1`, `l2`, at least 0; `biases`, False to
    exclude parameters with fewer than two axes.
    Input: as the loss. Errors: ValueError for a factor that is negative or not finite.

    >>> import chainrule as cr
    >>> model = cr.nn.Linear(1, 1)
    >>> _ = model.weight.copy_([[3.0]])
    >>> loss = cr.nn.PenalizedLoss(cr.nn.MSELoss(), model, l2=0.5)
    >>> loss(model(cr.tensor([[1.0]])), cr.tensor([[2.0]])).item()
    5.5
    """

    def __init__(
        self, loss: Callable[..., Tensor], model: Module, *, l1: float = 0.0, l2: float = 0.0, biases: bool = True
    ) -> None:
        self.l1, self.l2 = check_number("PenalizedLoss: l1", l1), check_number("PenalizedLoss: l2", l2)
        self.loss, self.model, self.biases = loss, model, biases

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        total = self.loss(*inputs, **options)
        if self.l1:
            total = ops.add(total, ops.mul(ops.l1_penalty(self.model, self.biases), self.l1))
        if self.l2:
            total = ops.add(total, ops.mul(ops.l2_penalty(self.model, self.biases), self.l2))
        return total


def takes(loss: object) -> str | None:
    """The kind of targets of a loss module or loss function, as `LossModule.takes`; None for a custom loss."""
    while isinstance(loss, PenalizedLoss):
        loss = loss.loss
    return next((kind.takes for kind in LOSSES if isinstance(loss, kind) or loss is kind.function), None)
