"""L-BFGS: quasi-Newton steps on all rows at once, with a line search for the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _core, ops
from .._tensor import Tensor
from .._util.checks import check_integer, check_number
from .._util.exports import own_names
from .._util.mode import grad_mode
from ..autodiff._sweeps import no_grad
from ..compiler.jit import Compiled
from ._checks import as_list, check_params
from ._line_search import Point, as_number, strong_wolfe
from ._two_loop import History

Closure = Callable[[], Any]
Evaluate = Callable[[Tensor], Point]


class LBFGS:
    """L-BFGS: steps along -H g, where H approximates the inverse Hessian from the last steps and gradient changes.

    d = -H g by the two-loop recursion over pairs (s, y) of steps and changes of the gradient, H0 = (s.y / y.y) I of the
    last pair; p = p + t d. With `line_search_fn="strong_wolfe"` t is such that the loss decreases by at least
    1e-3 t |g.d| and |g_new.d| <= 0.9 |g.d|, found as in L-BFGS-B; with None it is `lr`. t begins with `lr`, the first
    time with lr / sqrt(g.g), without a search with lr * min(1, 1 / sum |g|). Sums and the history are in float64
    for parameters of either dtype, in a fixed order: the same bits on every machine.

    Arguments: `params`, an iterable of parameters of one dtype; `lr`; `max_iter`, iterations of one `step`; `max_eval`,
    its evaluations of the closure (default: max_iter * 5 // 4); `tolerance_grad`, `tolerance_change`: a step ends when
    no element of the gradient, or no element of the change of the parameters or no change of the loss, is above it;
    `history_size`, the number of pairs; `line_search_fn`. Defaults are PyTorch's.
    Attributes: `params`; `n_iter`, iterations so far; `func_evals`, evaluations so far.
    Errors: as `cr.optim.SGD`; ValueError for an option out of range.
    Source: Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4; More and Thuente, Line search algorithms
    with guaranteed sufficient decrease, 1994.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([3.0, -2.0])
    >>> optimizer = cr.optim.LBFGS([weight], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = cr.sum(cr.square(weight - [1.0, 4.0]))
    ...     loss.backward()
    ...     return loss
    >>> first = optimizer.step(closure)
    >>> weight.numpy().round(3)
    array([1., 4.], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        self.params: list[Tensor] = as_list("LBFGS", params)
        if any(isinstance(item, Mapping) for item in self.params):
            raise TypeError("LBFGS: all parameters have the same options; pass model.parameters() in place of groups")
        check_params("LBFGS", [self.params])
        dtypes = sorted({str(parameter.dtype) for parameter in self.params})
        if len(dtypes) > 1:
            raise ValueError(f"LBFGS: the parameters mix {' and '.join(dtypes)}, expected one dtype")
        self.lr = check_number("LBFGS: lr", lr, above=True)
        self.max_iter = check_integer("LBFGS: max_iter", max_iter, 1)
        self.max_eval = self.max_iter * 5 // 4 if max_eval is None else check_integer("LBFGS: max_eval", max_eval, 1)
        self.tolerance_grad = check_number("LBFGS: tolerance_grad", tolerance_grad)
        self.tolerance_change = check_number("LBFGS: tolerance_change", tolerance_change)
        self.history_size = check_integer("LBFGS: history_size", history_size, 1)
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn must be 'strong_wolfe' or None, got {line_search_fn!r}")
        self.line_search_fn = line_search_fn
        self.n_iter = self.func_evals = 0
        self._history = History(self.history_size)
        self._previous: tuple[Tensor, Tensor] | None = None  # the last iteration's gradient and step

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients of all parameters to None; with False or True: each evaluation computes them anew."""
        for parameter in self.params:
            parameter.grad = None

    def step(self, closure: Closure) -> Any:
        """Run up to `max_iter` iterations.

        Arguments: `closure`, a function without arguments that clears the gradients, computes the loss of all rows,
        calls `backward()` and returns the loss; the same loss for the same parameters.
        Returns: the first result of the closure. A loss that is not finite there, or a direction along which the loss
        does not fall, ends the step; the parameters are then those of the best evaluation.
        Errors: RuntimeError in a compiled function; ValueError for a gradient of another shape or dtype.

        >>> import chainrule as cr
        >>> weight = cr.nn.Parameter([2.0])
        >>> optimizer = cr.optim.LBFGS([weight], lr=0.5, max_iter=1)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = cr.sum(weight * weight)
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item()
        4.0
        """
        grad_mode.executor.forbid("LBFGS: step evaluates its closure several times; compile the closure in its place")
        found: list[Any] = []

        def kept() -> Any:
            found.append(closure())
            return found[-1]

        self._run(partial(self._evaluate, kept))
        return found[0]

    def _run(self, at_parameters: Evaluate) -> None:
        """Iterate until a limit or a tolerance of one step is reached."""
        last = self.func_evals + self.max_eval
        for done, (change, before, point) in enumerate(self._iterations(at_parameters, last), 1):
            if done >= self.max_iter or self.func_evals >= last or point.largest <= self.tolerance_grad:
                break
            moved = _largest(change)
            if moved <= self.tolerance_change or abs(point.loss - before) < self.tolerance_change:
                break

    def _iterations(self, at_parameters: Evaluate, last: int) -> Iterator[tuple[Tensor, float, Point]]:
        """Iterate while evaluations are left and the loss falls; yield the change, the loss before it, the new point.

        `at_parameters(direction)` is the point of the parameters as they are. The caller decides when the loss has
        converged.
        """
        at = _flat(self.params)
        here = at_parameters(Tensor._wrap(np.zeros(at.shape)))
        self.func_evals += 1
        while isfinite(here.loss) and self.func_evals < last and here.largest > self.tolerance_grad:
            gradient = here.gradient
            if self._previous is not None:
                self._history.add(self._previous[1], gradient, self._previous[0])
                self._previous = None  # a step that finds no lower loss leaves the state as the next one finds it
            (direction, slope), rate = self._history.direction(gradient), self.lr
            if self.n_iter == 0:
                rate = self._first_rate(gradient)
            if not slope < 0:  # no descent, from rounding: begin again with the gradient
                self._history = History(self.history_size)
                direction, slope = self._history.direction(gradient)
            start = at

            def evaluate(t: float, start: Tensor = start, direction: Tensor = direction) -> Point:
                nonlocal at
                at = self._move(start, direction, t)
                self.func_evals += 1
                return at_parameters(direction)

            before = here.loss
            if self.line_search_fn is None:
                here = evaluate(rate)
            else:
                found, evaluated = strong_wolfe(evaluate, here, slope, rate, last - self.func_evals)
                if found.step != evaluated:
                    at = self._move(start, direction, found.step)
                here = found
                if found.step == 0:
                    return
            change = ops.sub(at, start)
            self._previous = gradient, change
            self.n_iter += 1
            yield change, before, here

    def _first_rate(self, gradient: Tensor) -> float:
        """The step along the gradient itself: with a search one of length lr, else at most lr, as in PyTorch."""
        if self.line_search_fn is None:
            return min(self.lr, as_number(ops.div(self.lr, ops.sum(ops.abs(gradient)))))
        return as_number(ops.div(self.lr, ops.sqrt(ops.sum(ops.square(gradient)))))

    def _move(self, start: Tensor, direction: Tensor, t: float) -> Tensor:
        """Set the parameters to start + t d, rounded to their dtype; return them as a vector."""
        at: Tensor
        with no_grad(), _core.writing([parameter._data for parameter in self.params]):
            at, *parts = _moved(start, direction, np.array(t), *(parameter._data for parameter in self.params))
            for parameter, part in zip(self.params, parts, strict=True):
                if grad_mode.replaced:
                    parameter.copy_(part)
                else:  # a quarter of the time
                    parameter._data[...] = part._data
                    parameter._bump()
        return at

    def _evaluate(self, closure: Closure, direction: Tensor) -> Point:
        """Loss and gradient of the parameters as they are, and the slope along a direction."""
        loss = closure()
        with no_grad():
            return _point(loss, *_gathered_along(direction, *self._gradients()))

    def _gradients(self) -> list[Tensor]:
        """The gradients, zeros of parameters that the loss does not use or that are frozen."""
        gradients = []
        for i, parameter in enumerate(self.params):
            gradient = parameter.grad
            if gradient is None or not parameter.requires_grad:  # not used, or frozen
                gradient = Tensor._wrap(np.zeros(parameter.shape, parameter.dtype))
            if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
                raise ValueError(
                    f"LBFGS: parameter {i} is {parameter.dtype} {parameter.shape}, its gradient "
                    f"{gradient.dtype} {gradient.shape}"
                )
            gradients.append(gradient)
        return gradients

    def _compiled(
        self, closure: Callable[..., Any], data: Sequence[Any], watched: Sequence[Any], micro_batch: int | None = None
    ) -> _CompiledClosure:
        """A closure of the data as one program, with the gradient as a vector; the rows are computed in blocks."""

        def along(direction: Tensor, *data: Any) -> tuple[Tensor, ...]:
            loss = closure(*data)
            with no_grad():
                found = _gather_along(direction, *self._gradients())
            self.zero_grad()
            return (loss.detach(), *found)

        return _CompiledClosure(Compiled(along, micro_batch, watched), data)

    def _saved(self) -> dict[str, Any]:
        """What `self.__dict__.update` sets back to here; a state of `state_dict` has copies of all vectors."""
        return {**vars(self), "_history": self._history.copy()}

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the options, the counts, the history and the last gradient and step.

        >>> import chainrule as cr
        >>> cr.optim.LBFGS([cr.nn.Parameter([1.0])], lr=0.5).state_dict()["options"]["lr"]
        0.5
        """
        previous = [] if self._previous is None else [tensor.numpy().copy() for tensor in self._previous]
        return {
            "options": {name: getattr(self, name) for name in _OPTIONS},
            "n_iter": self.n_iter,
            "func_evals": self.func_evals,
            "previous": previous,
            "history": self._history.state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; nothing changes on an error.

        Errors: ValueError for a missing entry, or one of another number of parameters.

        >>> import chainrule as cr
        >>> a, b = (cr.optim.LBFGS([cr.nn.Parameter([1.0])], lr=lr) for lr in (0.5, 1.0))
        >>> b.load_state_dict(a.state_dict())
        >>> b.lr
        0.5
        """
        missing = [name for name in ("options", "n_iter", "func_evals", "previous", "history") if name not in state]
        missing += [name for name in _OPTIONS if not missing and name not in state["options"]]
        if missing:
            raise ValueError(f"load_state_dict: missing {', '.join(missing)}")
        options = {name: state["options"][name] for name in _OPTIONS}
        fresh = LBFGS(self.params, **options)
        size = sum(parameter.size for parameter in self.params)
        history = [tuple(_vector(array, size) for array in pair) for pair in state["history"]]
        previous = [_vector(array, size) for array in state["previous"]]
        for step, change in history:
            fresh._history.add(step, change)
        fresh._previous = (previous[0], previous[1]) if previous else None
        fresh.n_iter, fresh.func_evals = int(state["n_iter"]), int(state["func_evals"])
        self.__dict__.update({**vars(fresh), "params": self.params})


class _CompiledClosure:
    """A program of the loss, the gradient and the slope along a direction, with its data."""

    def __init__(self, program: Compiled[Any], data: Sequence[Any]) -> None:
        self._program, self._data = program, data

    def __call__(self, direction: Tensor) -> Point:
        """Evaluate at the parameters as they are."""
        return _point(*self._program(direction, *self._data))

    def plan(self, size: int) -> None:
        """Trace the program for so many parameters, which evaluates nothing."""
        self._program.plan_of(Tensor._wrap(np.zeros(size)), *self._data)


_OPTIONS = (
    "lr",
    "max_iter",
    "max_eval",
    "tolerance_grad",
    "tolerance_change",
    "history_size",
    "line_search_fn",
)


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    """The tensors as one vector in float64."""
    with no_grad():
        vector: Tensor = _gathered(*(tensor.detach() for tensor in tensors))[0]
    return vector


def _point(loss: Any, gradient: Tensor, largest: Tensor, slope: Tensor) -> Point:
    return Point(0.0, as_number(loss), gradient, as_number(slope), as_number(largest))


def _gather(*tensors: Tensor) -> tuple[Tensor, Tensor]:
    """The tensors as one vector in float64, and its largest absolute value."""
    parts = [ops.astype(ops.reshape(tensor, (-1,)), np.float64) for tensor in tensors]
    vector = ops.concatenate(parts)
    return vector, ops.max(ops.abs(vector))


def _gather_along(direction: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """And its product with a direction."""
    vector, largest = _gather(*tensors)
    return vector, largest, ops.sum(ops.mul(vector, direction))


def _step_along(start: Tensor, direction: Tensor, t: Tensor, *like: Tensor) -> tuple[Tensor, ...]:
    """start + t d as a vector, rounded to the dtype of the tensors, and in their shapes."""
    moved = ops.astype(ops.add(start, ops.mul(direction, t)), like[0].dtype)
    parts, begin = [], 0
    for tensor in like:
        parts.append(ops.reshape(moved[begin : begin + tensor.size], tensor.shape))
        begin += tensor.size
    return (ops.astype(moved, np.float64), *parts)


_gathered, _gathered_along, _moved = (Compiled(f, watched=()) for f in (_gather, _gather_along, _step_along))


def _largest(vector: Tensor) -> float:
    return as_number(ops.max(ops.abs(vector)))


def _vector(array: npt.ArrayLike, size: int) -> Tensor:
    values = np.array(array, dtype=np.float64)
    if values.shape != (size,):
        raise ValueError(f"load_state_dict: a vector of the history has shape {values.shape}, expected ({size},)")
    return Tensor._wrap(values)


if not TYPE_CHECKING:
    __all__ = own_names(globals())
