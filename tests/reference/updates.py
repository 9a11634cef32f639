"""The update steps of the optimizers: new values of a parameter and its states; arguments are not modified."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .bits import Array
from .elementwise import maximum
from .fma import fma

Result = tuple[Array, list[Array]]  # p, states


def _rounded(p: Array, *values: float) -> list[Array]:
    """The values in p's dtype, each rounded once."""
    return [np.asarray(value, p.dtype) for value in values]


def sgd_step(
    p: Array,
    g: Array,
    v: Array | None,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Array, Array | None]:
    """New ``(p, v)``. v may be None without momentum."""
    rate, mu, decay = _rounded(p, lr, momentum, weight_decay)
    d = g if decay == 0 else fma(decay, p, g)
    if mu != 0:
        if v is None:
            raise ValueError(f"sgd_step: momentum is {momentum}, expected a velocity v")
        v = fma(mu, v, d)
        d = fma(mu, v, d) if nesterov else v
    elif nesterov:
        raise ValueError("sgd_step: nesterov requires momentum above 0")
    return fma(np.asarray(-rate), d, p), v


def _sgd(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, momentum, decay, nesterov = hyperparameters[:4]
    new, v = sgd_step(p, g, states[0] if states else None, lr, momentum, decay, bool(nesterov))
    return new, [] if v is None else [v]


def _average(d: Array, s: Array, beta: np.float64) -> Array:
    """``fma([1 - beta], d - s, s)``, and d where [1 - beta] is 1."""
    (share,) = _rounded(d, 1 - beta)
    return d if share == 1 else fma(share, np.asarray(d - s), s)


def _average_of_square(d: Array, s: Array, beta: np.float64) -> Array:
    """``fma([1 - beta] * d, d, beta * s)``, and ``d * d`` where [1 - beta] is 1 and beta 0."""
    share, keep = _rounded(d, 1 - beta, beta)
    return np.asarray(d * d) if share == 1 and keep == 0 else fma(np.asarray(share * d), d, np.asarray(keep * s))


def _adam(decoupled: bool) -> Callable[..., Result]:
    @np.errstate(all="ignore")
    def step(
        p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
    ) -> Result:
        lr, beta1, beta2, eps, weight_decay, eps_hat = (np.float64(x) for x in hyperparameters[:6])
        correction1 = 1 - np.float64(step_state[1]) * beta1
        correction2 = np.sqrt(1 - np.float64(step_state[2]) * beta2)
        decay, keep = _rounded(p, weight_decay, 1 - lr * weight_decay)
        rate, small = _rounded(p, lr * correction2 / correction1, eps if eps_hat else eps * correction2)
        d = g
        if decay != 0:
            p, d = (np.asarray(p * keep), g) if decoupled else (p, fma(decay, p, g))
        m, v = _average(d, states[0], beta1), _average_of_square(d, states[1], beta2)
        largest = [maximum(states[2], v)] if len(states) > 2 else []
        root = np.sqrt(largest[0] if largest else v)
        return fma(np.asarray(-rate), np.asarray(m / (root + small)), p), [m, v, *largest]

    return step


def _rmsprop(centered: bool) -> Callable[..., Result]:
    @np.errstate(all="ignore")
    def step(
        p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
    ) -> Result:
        alpha = np.float64(hyperparameters[1])
        rate, _, eps, decay, mu = _rounded(p, *hyperparameters[:5])
        d = g if decay == 0 else fma(decay, p, g)
        new = [_average_of_square(d, states[0], alpha)]
        spread = new[0]
        if centered:
            new.append(_average(d, states[1], alpha))
            spread = maximum(fma(np.asarray(-new[1]), new[1], new[0]), np.zeros((), p.dtype))
        d = np.asarray(d / (np.sqrt(spread) + eps))
        if len(states) > len(new):
            last = states[-1] if mu == 0 else fma(mu, states[-1], d)
            d = d if mu == 0 else last
            new.append(last)
        return fma(np.asarray(-rate), d, p), new

    return step


@np.errstate(all="ignore")
def _adagrad(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, lr_decay = np.float64(hyperparameters[0]), np.float64(hyperparameters[1])
    rate, decay, eps = _rounded(p, lr / (1 + np.float64(step_state[0]) * lr_decay), *hyperparameters[2:4])
    d = g if decay == 0 else fma(decay, p, g)
    s = fma(d, d, states[0])
    return fma(np.asarray(-rate), np.asarray(d / (np.sqrt(s) + eps)), p), [s]


@dataclass(frozen=True)
class Update:
    """A row: step(p, g, states, hyperparameters, step_state); possible numbers of states; sets of hyperparameters to
    test; length of the step state.
    """

    step: Callable[..., Result]
    states: tuple[int, ...]
    hyperparameters: tuple[tuple[float, ...], ...]
    step_state: int = 0

    def advanced(self, step_state: Sequence[float], hyperparameters: Sequence[float]) -> list[float]:
        """The step state after a step: the step count, then powers of the betas."""
        if not self.step_state:
            return []
        powers = (power * beta for power, beta in zip(step_state[1:], hyperparameters[1:], strict=False))
        return [step_state[0] + 1, *powers]

    @property
    def start(self) -> list[float]:
        """The step state before the first step."""
        return [0.0, *[1.0] * (self.step_state - 1)] if self.step_state else []


_ADAM = (
    (0.01, 0.9, 0.999, 1e-8, 0.0, 0.0),
    (0.3, 0.8, 0.95, 1e-4, 0.02, 0.0),
    (0.1, 0.0, 0.0, 0.5, 0.3, 0.0),
    (0.1, 1e-9, 1e-9, 1e-3, 0.0, 0.0),
    (0.2, 0.7, 0.9, 0.3, 0.01, 1.0),
)
_RMSPROP = (
    (0.01, 0.99, 1e-8, 0.0, 0.9),
    (0.3, 0.7, 1e-3, 0.02, 0.5),
    (0.1, 0.9, 1e-5, 0.1, 0.0),
    (0.1, 0.0, 1e-5, 0.1, 0.5),
)
UPDATES: dict[str, Update] = {
    "sgd": Update(_sgd, (1,), ((0.1, 0.9, 0.0, 0.0), (0.1, 0.7, 0.01, 1.0), (0.2, 0.5, 0.01, 0.0))),
    "adam": Update(_adam(False), (2, 3), _ADAM, 3),
    "adamw": Update(_adam(True), (2, 3), _ADAM, 3),
    "rmsprop": Update(_rmsprop(False), (1, 2), _RMSPROP),
    "rmsprop_centered": Update(_rmsprop(True), (2, 3), _RMSPROP),
    "adagrad": Update(_adagrad, (1,), ((0.1, 0.0, 0.0, 1e-10), (0.3, 0.2, 0.02, 1e-3)), 1),
}
