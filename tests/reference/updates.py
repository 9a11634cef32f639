"""The update steps of the optimizers: new values of a parameter and its states; arguments are not modified."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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


@np.errstate(all="ignore")
def _sgd_dampened(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, momentum, weight_decay, nesterov, dampening = (np.float64(x) for x in hyperparameters[:5])
    rate, mu, decay, share = _rounded(p, lr, momentum, weight_decay, 1 - dampening)
    d = g if decay == 0 else fma(decay, p, g)
    v = states[0] if mu == 0 else d if step_state[0] == 0 else fma(mu, states[0], np.asarray(share * d))
    d = d if mu == 0 else fma(mu, v, d) if nesterov else v
    return fma(np.asarray(-rate), d, p), [v]


def _decayed(p: Array, g: Array, lr: Any, weight_decay: Any, decoupled: Any) -> tuple[Array, Array]:
    """p and the gradient after weight decay."""
    decay, keep = _rounded(p, weight_decay, 1 - lr * weight_decay)
    if decay == 0:
        return p, g
    return (np.asarray(p * keep), g) if decoupled else (p, fma(decay, p, g))


@np.errstate(all="ignore")
def _nadam(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, beta1, beta2, base, _, eps, weight_decay, decoupled = (np.float64(x) for x in hyperparameters[:8])
    p, d = _decayed(p, g, lr, weight_decay, decoupled)
    m, v = _average(d, states[0], beta1), _average_of_square(d, states[1], beta2)
    power, correction = step_state[3] * base, np.sqrt(1 - step_state[2] * beta2)
    mu, following = beta1 * (1 - 0.5 * power), beta1 * (1 - 0.5 * (power * base))
    product = step_state[4] * mu
    rate, average_rate, small = _rounded(
        p,
        -(lr * correction * (1 - mu) / (1 - product)),
        -(lr * correction * following / (1 - product * following)),
        eps * correction,
    )
    return np.asarray(p + fma(rate, d, np.asarray(average_rate * m)) / (np.sqrt(v) + small)), [m, v]


def _nadam_advanced(step_state: Sequence[float], hyperparameters: Sequence[float]) -> list[float]:
    beta1, beta2, base = hyperparameters[1:4]
    power = step_state[3] * base
    momentum = beta1 * (1 - 0.5 * power)
    return [step_state[0] + 1, step_state[1] * beta1, step_state[2] * beta2, power, step_state[4] * momentum]


@np.errstate(all="ignore")
def _radam(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, beta1, beta2, eps, weight_decay, decoupled = (np.float64(x) for x in hyperparameters[:6])
    p, d = _decayed(p, g, lr, weight_decay, decoupled)
    m, v = _average(d, states[0], beta1), _average_of_square(d, states[1], beta2)
    power, rate = step_state[2] * beta2, lr / (1 - step_state[1] * beta1)
    most = 2 / (1 - beta2) - 1
    length = most - 2 * (step_state[0] + 1) * power / (1 - power)
    step, (small,) = m, _rounded(p, eps)
    if length > 5:
        share = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
        step, rate = np.asarray(m / (np.sqrt(v) + small)), rate * np.sqrt(1 - power) * np.sqrt(share)
    return fma(np.asarray(-rate, p.dtype), step, p), [m, v]


@np.errstate(all="ignore")
def _adadelta(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, rho, eps, weight_decay = (np.float64(x) for x in hyperparameters[:4])
    rate, small = _rounded(p, lr, eps)
    p, d = _decayed(p, g, lr, weight_decay, False)
    s = _average_of_square(d, states[0], rho)
    y = np.asarray(np.sqrt(states[1] + small) / np.sqrt(s + small) * d)
    return fma(np.asarray(-rate), y, p), [s, _average_of_square(y, states[1], rho)]


@np.errstate(all="ignore")
def _adamax(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, beta1, beta2, eps, weight_decay = (np.float64(x) for x in hyperparameters[:5])
    rate, keep, small = _rounded(p, lr / (1 - step_state[1] * beta1), beta2, eps)
    p, d = _decayed(p, g, lr, weight_decay, False)
    m, u = _average(d, states[0], beta1), maximum(np.asarray(keep * states[1]), np.asarray(np.abs(d) + small))
    return fma(np.asarray(-rate), np.asarray(m / u), p), [m, u]


@np.errstate(all="ignore")
def _lion(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, beta1, beta2, weight_decay = (np.float64(x) for x in hyperparameters[:4])
    (rate,) = _rounded(p, lr)
    p, d = _decayed(p, g, lr, weight_decay, True)
    c = _average(d, states[0], beta1)
    sign = np.where(c > 0, p.dtype.type(1), np.where(c < 0, p.dtype.type(-1), c))
    return fma(np.asarray(-rate), sign, p), [_average(d, states[0], beta2)]


@np.errstate(all="ignore")
def _muon_direction(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    momentum = np.float64(hyperparameters[1])
    m = _average(g, states[0], momentum)
    (mu,) = _rounded(p, momentum)
    return fma(mu, np.asarray(m - g), g) if hyperparameters[2] else m, [m]


@np.errstate(all="ignore")
def _muon(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    lr, weight_decay = np.float64(hyperparameters[0]), np.float64(hyperparameters[3])
    p, d = _decayed(p, g, lr, weight_decay, True)
    return fma(np.asarray(-lr, p.dtype), d, p), list(states)


def _weights_of_average(step_state: Sequence[float], hyperparameters: Sequence[float]) -> tuple[Any, Any, Any, Any]:
    """The rate, the largest so far, the weight of the step and the sum of the weights."""
    lr, warmup, r, power = (np.float64(hyperparameters[i]) for i in (0, 5, 6, 7))
    steps = np.float64(step_state[0] + 1)
    lr = lr * (steps / warmup) if steps <= warmup else lr
    largest = max(lr, np.float64(step_state[4]))
    weight = np.prod([steps] * int(r)) * np.prod([largest] * int(power))
    return lr, largest, weight, step_state[3] + weight


@np.errstate(all="ignore")
def _schedule_free_adamw(
    p: Array, g: Array, states: Sequence[Array], hyperparameters: Sequence[float], step_state: Sequence[float]
) -> Result:
    _, beta1, beta2, eps, weight_decay = (np.float64(x) for x in hyperparameters[:5])
    lr, _, weight, total = _weights_of_average(step_state, hyperparameters)
    c = weight / total if total > 0 else np.float64(0)
    decay, correction, small, share, along, rate = _rounded(
        p, weight_decay, 1 / np.sqrt(1 - step_state[2] * beta2), eps, c, lr * (beta1 * (1 - c) - 1), lr
    )
    z = p if step_state[0] == 0 else states[0]
    v = _average_of_square(g, states[1], beta2)
    d = np.asarray(g / (np.sqrt(v) * correction + small))
    d = d if decay == 0 else fma(decay, p, d)
    return fma(along, d, fma(share, np.asarray(z - p), p)), [fma(np.asarray(-rate), d, z), v]


def _schedule_free_advanced(step_state: Sequence[float], hyperparameters: Sequence[float]) -> list[float]:
    _, largest, _, total = _weights_of_average(step_state, hyperparameters)
    powers = [power * beta for power, beta in zip(step_state[1:3], hyperparameters[1:3], strict=True)]
    return [step_state[0] + 1, *powers, float(total), float(largest)]


@dataclass(frozen=True)
class Update:
    """A row: step(p, g, states, hyperparameters, step_state); possible numbers of states; sets of hyperparameters to
    test; length of the step state; and, where the state holds more than the step count and powers of the betas, step
    states before the first and before a later step, and the state after a step.
    """

    step: Callable[..., Result]
    states: tuple[int, ...]
    hyperparameters: tuple[tuple[float, ...], ...]
    step_state: int = 0
    clocks: tuple[tuple[float, ...], ...] = ()
    advance: Callable[[Sequence[float], Sequence[float]], list[float]] | None = None

    def advanced(self, step_state: Sequence[float], hyperparameters: Sequence[float]) -> list[float]:
        """The step state after a step: the step count, then powers of the betas."""
        if not self.step_state:
            return []
        if self.advance is not None:
            return self.advance(step_state, hyperparameters)
        powers = (power * beta for power, beta in zip(step_state[1:], hyperparameters[1:], strict=False))
        return [step_state[0] + 1, *powers]

    @property
    def start(self) -> list[float]:
        """The step state before the first step."""
        if self.clocks:
            return list(self.clocks[0])
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
    "sgd_dampened": Update(
        _sgd_dampened, (1,), ((0.1, 0.9, 0.0, 0.0, 0.3), (0.1, 0.7, 0.01, 0.0, 1.0), (0.2, 0.5, 0.01, 1.0, 0.1)), 1
    ),
    "nadam": Update(
        _nadam,
        (2,),
        (
            (0.01, 0.9, 0.999, 0.96**0.004, 0.004, 1e-8, 0.0, 0.0),
            (0.3, 0.8, 0.95, 0.96**0.5, 0.5, 1e-4, 0.02, 0.0),
            (0.1, 0.0, 0.0, 0.96, 1.0, 0.5, 0.3, 1.0),
        ),
        5,
        ((0.0, 1.0, 1.0, 1.0, 1.0), (3.0, 0.5, 0.9, 0.8, 0.1)),
        _nadam_advanced,
    ),
    "radam": Update(
        _radam,
        (2,),
        ((0.01, 0.9, 0.999, 1e-8, 0.0, 0.0), (0.3, 0.8, 0.95, 1e-4, 0.02, 0.0), (0.1, 0.0, 0.0, 0.5, 0.3, 1.0)),
        3,
        ((0.0, 1.0, 1.0), (3.0, 0.5, 0.9), (9.0, 0.25, 0.8)),
    ),
    "adadelta": Update(_adadelta, (2,), ((1.0, 0.9, 1e-6, 0.0), (0.5, 0.6, 1e-2, 0.02), (0.5, 0.0, 0.5, 0.0))),
    "adamax": Update(_adamax, (2,), ((0.01, 0.9, 0.999, 1e-8, 0.0), (0.3, 0.8, 0.95, 1e-4, 0.02)), 2),
    "lion": Update(_lion, (1,), ((0.01, 0.9, 0.99, 0.0), (0.1, 0.8, 0.5, 0.1), (0.1, 0.0, 0.0, 0.2))),
    "muon_direction": Update(_muon_direction, (1,), ((0.01, 0.95, 1.0, 0.1), (0.1, 0.7, 0.0, 0.0))),
    "muon": Update(_muon, (0, 1), ((0.01, 0.95, 1.0, 0.1), (0.3, 0.7, 0.0, 0.0))),
    "schedule_free_adamw": Update(
        _schedule_free_adamw,
        (2,),
        (
            (0.01, 0.9, 0.999, 1e-8, 0.0, 0.0, 0.0, 2.0),
            (0.3, 0.8, 0.95, 1e-4, 0.02, 5.0, 1.0, 0.0),
            (0.1, 0.5, 0.0, 0.5, 0.3, 2.0, 3.0, 1.0),
        ),
        5,
        ((0.0, 1.0, 1.0, 0.0, 0.0), (3.0, 0.5, 0.9, 0.02, 0.25)),
        _schedule_free_advanced,
    ),
}
