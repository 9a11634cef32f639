"""Gradient clipping: PyTorch's results; equal bits eager, compiled and in the Trainer's epochs."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.optimizers import bits
from chainrule.optim import clip_grad_norm_, clip_grad_value_
from support.variants import every_setting

GRADIENTS = ([[0.5, -1.25], [2.0, 0.75]], [-3.5, 0.125, 1.0], -0.625)


def parameters(dtype: type = np.float64) -> list[cr.nn.Parameter]:
    """Four of them; the third has no gradient."""
    found = [cr.nn.Parameter(np.full(np.shape(g), 0.5, dtype)) for g in (*GRADIENTS[:2], [1.0], GRADIENTS[2])]
    for p, g in zip((found[0], found[1], found[3]), GRADIENTS, strict=True):
        p.grad = cr.tensor(np.asarray(g, dtype))
    return found


def gradients(found: list[cr.nn.Parameter]) -> list[float]:
    return [float(x) for p in found if p.grad is not None for x in p.grad.numpy().ravel()]


# (norm, first, fourth and last element) of torch.nn.utils.clip_grad_norm_ (2.13, float64) with max_norm 1.5.
PYTORCH = {
    2.0: (4.475628447492039, 0.16757419460189438, 0.25136129190284157, -0.20946774325236797),
    1.0: (9.75, 0.07692306903353138, 0.11538460355029707, -0.09615383629191424),
    inf: (3.5, 0.21428565306124198, 0.32142847959186294, -0.2678570663265525),
}


@pytest.mark.parametrize("norm_type", PYTORCH)
def test_norm(norm_type: float) -> None:
    found = parameters()
    norm = clip_grad_norm_(found, 1.5, norm_type)
    got = gradients(found)
    assert (norm.shape, norm.dtype) == ((), np.float64)
    np.testing.assert_allclose([norm.item(), got[0], got[3], got[-1]], PYTORCH[norm_type], rtol=1e-12)
    assert found[2].grad is None


def test_small_gradients_stay() -> None:
    found = parameters()
    before = gradients(found)
    assert clip_grad_norm_(found, 5.0).item() == pytest.approx(4.5, rel=0.05)
    assert gradients(found) == before


def test_value() -> None:
    found = parameters()
    clip_grad_value_(found, 0.75)
    assert gradients(found) == [0.5, -0.75, 0.75, 0.75, -0.75, 0.125, 0.75, -0.625]
    found[0].grad = cr.tensor(np.array([[nan, inf], [-inf, -0.5]]))
    clip_grad_value_(found[0], 0.75)
    np.testing.assert_array_equal(found[0].grad.numpy(), [[nan, 0.75], [-0.75, -0.5]])


def test_without_gradients() -> None:
    p = cr.nn.Parameter([1.0])
    assert clip_grad_norm_([p], 1.0).item() == 0
    clip_grad_value_(p, 1.0)
    assert p.grad is None


@pytest.mark.parametrize("bad", [nan, inf])
def test_a_norm_that_is_not_finite(bad: float) -> None:
    for compile in (False, True):
        found = parameters()
        found[1].grad = cr.tensor(np.array([1.0, bad, 2.0]))
        before = [p.grad for p in found]

        def call(error: bool, found: Any = found) -> cr.Tensor:
            return clip_grad_norm_(found, 1.0, error_if_nonfinite=error)

        run = cr.compile(call) if compile else call
        with pytest.raises(RuntimeError, match="clip_grad_norm_: the norm of the gradients is not finite"):
            run(True)
        assert [p.grad for p in found] == before
        norm = run(False).item()
        assert np.isnan(norm) if np.isnan(bad) else norm == inf
        expected = [0.0, 0.0, 0.0, 0.0] if bad == inf else [nan] * 4
        np.testing.assert_array_equal(np.abs(gradients(found)[:4]), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: clip_grad_norm_(p, -1.0), "clip_grad_norm_: max_norm must be at least 0, got -1.0"),
        (lambda p: clip_grad_norm_(p, nan), "clip_grad_norm_: max_norm must be at least 0, got nan"),
        (lambda p: clip_grad_norm_(p, 1.0, 3.0), "clip_grad_norm_: norm_type must be 1, 2 or inf, got 3.0"),
        (lambda p: clip_grad_value_(p, -0.5), "clip_grad_value_: clip_value must be at least 0, got -0.5"),
    ],
)
def test_rejected(call: Any, message: str) -> None:
    found = parameters()
    before = gradients(found)
    with pytest.raises(ValueError, match=message):
        call(found)
    assert gradients(found) == before


X = cr.random.Generator(seed=1).normal((70, 5))
Y = (X[:, 0] > X[:, 1]).astype(np.int64)


def net() -> cr.nn.Sequential:
    generator = cr.random.Generator(seed=2)
    return cr.nn.Sequential(
        cr.nn.Linear(5, 33, generator=generator), cr.nn.Tanh(), cr.nn.Linear(33, 2, generator=generator)
    )


@pytest.mark.parametrize(
    "options", [{"clip_norm": 0.125}, {"clip_value": 0.01}, {"clip_norm": 0.25, "clip_value": 0.02}], ids=str
)
def test_training_clips(options: dict[str, float]) -> None:
    """`fit` has the bits of the loop by hand: by value first, then by norm."""
    loss = cr.nn.CrossEntropyLoss()

    def by_hand() -> bytes:
        model = net()
        optimizer = cr.optim.SGD(model.parameters(), 0.5, 0.5)
        for epoch in range(2):
            order = cr.random.Generator(3, stream=2**32 + epoch).permutation(len(X))
            for start in range(0, len(X), 16):
                rows = order[start : start + 16]
                optimizer.zero_grad()
                loss(model(X[rows]), Y[rows]).backward()
                if "clip_value" in options:
                    clip_grad_value_(model.parameters(), options["clip_value"])
                if "clip_norm" in options:
                    clip_grad_norm_(model.parameters(), options["clip_norm"])
                optimizer.step()
        return bits(list(model.parameters()))

    def fitted(**more: Any) -> bytes:
        model = net()
        optimizer = cr.optim.SGD(model.parameters(), 0.5, 0.5)
        cr.fit(model, X, Y, loss=loss, optimizer=optimizer, epochs=2, batch_size=16, seed=3, progress=False, **more)
        return bits(list(model.parameters()))

    expected = by_hand()
    assert fitted() != expected
    for setting in every_setting(threads=(1, 2)):
        assert fitted(**options) == expected, setting
    assert fitted(**options, micro_batch=5) == expected
    assert fitted(**options, compile=False) == expected


@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
def test_fit_rejects_bounds(name: str) -> None:
    model = net()
    before = bits(list(model.parameters()))
    optimizer = cr.optim.SGD(model.parameters(), 0.5)
    with pytest.raises(ValueError, match=f"fit: {name} must be above 0, got 0"):
        cr.fit(model, X, Y, loss=cr.nn.CrossEntropyLoss(), optimizer=optimizer, **{name: 0.0})  # type: ignore[arg-type]
    assert bits(list(model.parameters())) == before


LARGEST = {np.float32: 3e38, np.float64: 1.5e308}


EXPONENTS = [-43, -30, -20, -7, 0, 7, 18, 30, 37]  # of float32


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, inf])
@pytest.mark.parametrize(
    ("dtype", "exponent"),
    [*((np.float32, e) for e in EXPONENTS), *((np.float64, e) for e in (-322, -300, -160, *EXPONENTS, 160, 300, 306))],
)
def test_norms_of_any_size(exponent: int, norm_type: float, dtype: type, compile: bool) -> None:
    """The norm of 3, 4, 12 is 13, also where squares overflow or vanish; clipped it is the bound."""
    size = 10.0**exponent
    least = float(np.finfo(dtype).smallest_subnormal)
    precision = max(1e-6, least / size)
    whole = {1.0: 19.0, 2.0: 13.0, inf: 12.0}[norm_type]

    def call(bound: float) -> tuple[cr.Tensor, list[float]]:
        found = [cr.nn.Parameter(np.zeros(2, dtype)), cr.nn.Parameter(np.zeros((), dtype))]
        found[0].grad, found[1].grad = (
            cr.tensor(np.array([3, -4], dtype) * dtype(size)),
            cr.tensor(dtype(12) * dtype(size)),
        )
        run = cr.compile(lambda: clip_grad_norm_(found, bound, norm_type)) if compile else None
        return clip_grad_norm_(found, bound, norm_type) if run is None else run(), gradients(found)

    norm, unchanged = call(inf)
    assert norm.item() == pytest.approx(whole * size, rel=precision)
    assert unchanged == [float(dtype(v) * dtype(size)) for v in (3, -4, 12)]
    if exponent >= -7:
        clipped = np.array(call(whole * size / 100)[1])
        factor = whole * size / 100 / (whole * size + 1e-6)
        np.testing.assert_allclose(clipped, factor * np.array([3, -4, 12]) * size, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_norm_too_large_for_a_number_still_clips(dtype: type) -> None:
    parameter = cr.nn.Parameter(np.zeros(4, dtype))
    parameter.grad = cr.tensor(np.array([1, -1, 1, 1], dtype) * dtype(LARGEST[dtype]))
    assert clip_grad_norm_(parameter, 2.0).item() == inf
    np.testing.assert_allclose(parameter.grad.numpy(), [1, -1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("gradient", [1e30, -1e30, 1e-30])
def test_training_clips_gradients_of_any_size(gradient: float, compile: bool) -> None:
    """A step of the rate along the gradient, or of next to nothing."""
    model = cr.nn.Sequential(cr.nn.Linear(1, 1, bias=False, generator=cr.random.Generator(seed=0)))
    before = model[0].weight.numpy().copy()
    cr.fit(
        model, np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32), epochs=1, batch_size=None, progress=False,
        loss=lambda p, t: cr.mean(p - t) * gradient, optimizer=cr.optim.SGD(model.parameters(), 0.5),
        clip_norm=1.0, compile=compile,
    )  # fmt: skip
    expected = before - 0.5 * np.sign(gradient) * (abs(gradient) > 1)
    np.testing.assert_allclose(model[0].weight.numpy(), expected, rtol=1e-5)
