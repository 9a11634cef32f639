"""What makes a module of a loss function: options, documentation and examples follow from the function."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number
from ._module import Module

__all__ = ["LOSSES", "LossModule", "PenalizedLoss", "takes"]

LOSSES: list[type[LossModule]] = []  # every subclass, in the order of their definition


class _Documentation:
    """A class's docstring, made of its function's when it is first asked for."""

    def __get__(self, instance: object, owner: type[LossModule]) -> str:
        name, documented = owner.function.__name__, inspect.getdoc(owner.function) or ""
        text, _, examples = documented.partition("\n>>> ")
        first, *paragraphs = text.strip().split("\n\n")
        usage = f"The module of `cr.{name}`: it is made with the options and called with the prediction and the target."
        lines = [_as_module(line, name, owner.__name__) for line in f">>> {examples}".split("\n")]
        owner.__doc__ = "\n\n".join([first, usage, *paragraphs, "\n".join(lines)])
        return owner.__doc__


class _Signature:
    """The signature of a class's constructor; instances have that of their call."""

    def __get__(self, instance: object, owner: type[LossModule]) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, *[inspect.Parameter.KEYWORD_ONLY] * len(owner.defaults))
        pairs = zip(owner.defaults.items(), kinds, strict=False)
        return inspect.Signature([inspect.Parameter(name, kind, default=value) for (name, value), kind in pairs])


def _as_module(line: str, function: str, module: str) -> str:
    """A line of an example: the call of the function, by the module with the same options."""
    prompt, found, source = line.partition(f"cr.{function}(")
    if not found:
        return line
    tree = ast.parse(found + source, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == function:
            layer = ast.parse(f"cr.nn.{module}", mode="eval").body
            node.func = ast.Call(func=layer, args=node.args[2:], keywords=node.keywords)
            node.args, node.keywords = node.args[:2], []
    return prompt + ast.unparse(tree).replace("'", '"')


class LossModule(Module):
    """A loss function with its reduction and options, which are attributes, as a module.

    A subclass is one row, `class HuberLoss(LossModule, of=ops.huber_loss): ...`; its options are the keyword arguments
    of the function. An option is converted to the type of its default; None stands for weights, which become numbers
    that a model file can keep. `takes` says what targets are: "numbers", "labels", or "labels or probabilities".
    """

    function: ClassVar[Callable[..., Tensor]]
    defaults: ClassVar[dict[str, Any]]
    takes: ClassVar[str] = "numbers"
    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none")

    def __init_subclass__(cls, of: Callable[..., Tensor] | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if of is None:  # of one of the losses: its function
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
            raise TypeError(f"{type(self).__name__}: no option is called {unknown[0]!r}, only {words}")
        given = {"reduction": reduction, **options}
        for name, default in self.defaults.items():
            setattr(self, name, _converted(given.get(name, default), default))

    def config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.defaults}

    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Any = None) -> Tensor:
        return type(self).function(prediction, target, sample_weight=sample_weight, **self.config())


def _converted(value: Any, default: Any) -> Any:
    """An option in the type of its default; weights, whose default is None, as numbers."""
    if default is not None:
        return type(default)(value)
    return None if value is None else np.asarray(value, dtype=np.float64).tolist()


class PenalizedLoss:
    """A loss and a penalty of a model's parameters, loss + l1 * sum |w| + l2 * sum w**2, as `cr.fit` takes it.

    l2 gives the steps of `cr.optim.SGD` with a weight decay of 2 * l2, and shows it in the loss.

    Arguments: `loss`, a loss module or function; `model`, a Module; `l1`, `l2`, at least 0; `biases`, False to leave
    out parameters with fewer than two axes.
    Input: that of the loss. Errors: ValueError for a factor that is negative or not finite.

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
    """What targets of a loss (a module, or the function of one) are, as `LossModule.takes`; None for one's own."""
    while isinstance(loss, PenalizedLoss):
        loss = loss.loss
    return next((kind.takes for kind in LOSSES if isinstance(loss, kind) or loss is kind.function), None)
