"""Transformations of modules: a module represents its parameters by name."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits

T = cr.Tensor
X = np.random.default_rng(3).standard_normal((5, 3))


def model() -> cr.nn.Sequential:
    draw = cr.random.Generator(seed=4)
    first, last = (cr.nn.Linear(*n, dtype=np.float64, generator=draw) for n in ((3, 4), (4, 2)))
    return cr.nn.Sequential(first, cr.nn.Tanh(), last)


def loss(m: Any, x: Any) -> T:
    return cr.sum(cr.square(m(x)))


class TestModules:
    """A module represents its parameters by name."""

    def test_the_gradient_by_name(self) -> None:
        m = model()
        value, g = cr.value_and_grad(loss)(m, X)
        assert list(g) == [name for name, _ in m.named_parameters()]
        loss(m, X).backward()
        for name, p in m.named_parameters():
            assert p.grad is not None
            assert_same_bits(g[name].numpy(), p.grad.numpy())
            assert not g[name].requires_grad
        assert not value.requires_grad

    def test_in_a_tree_beside_others(self) -> None:
        m = model()
        g = cr.grad(lambda p: loss(p["net"], X) * p["scale"][0])({"net": m, "scale": [np.asarray(2.0), None]})
        assert list(g["net"]) == ["0.weight", "0.bias", "2.weight", "2.bias"]
        assert abs(g["scale"][0].item() - loss(m, X).item()) < 1e-12
        assert np.allclose(g["net"]["0.bias"].numpy(), 2 * cr.grad(loss)(m, X)["0.bias"].numpy())

    def test_frozen_parameters_are_fixed(self) -> None:
        m = model()
        m[0].weight.requires_grad = False  # type: ignore[attr-defined]
        assert list(cr.grad(loss)(m, X)) == ["0.bias", "2.weight", "2.bias"]

    def test_hessian_products(self) -> None:
        m = model()
        v = {name: np.random.default_rng(5).standard_normal(p.shape) for name, p in m.named_parameters()}
        f = lambda m: loss(m, X)  # noqa: E731
        product = cr.hvp(f, (m,), (v,))
        blocks = cr.hessian(f)(m)
        reverse = cr.grad(lambda m: cr.sum(cr.stack([cr.sum(g * v[k]) for k, g in cr.grad(f)(m).items()])))(m)
        for name, row in blocks.items():
            expected = sum(np.tensordot(block.numpy(), v[k], axes=v[k].ndim) for k, block in row.items())
            assert np.allclose(product[name].numpy(), expected, rtol=1e-11, atol=1e-12)
            assert np.allclose(reverse[name].numpy(), expected, rtol=1e-11, atol=1e-12)

    def test_tangents_are_given_by_name(self) -> None:
        m = model()
        g = cr.grad(loss)(m, X)
        only = cr.jvp(lambda m: loss(m, X), (m,), ({**dict.fromkeys(g), "2.bias": [1.0, 2.0]},))[1]
        assert abs(only.item() - g["2.bias"].numpy() @ [1.0, 2.0]) < 1e-12
        with pytest.raises(TypeError, match=r"^jvp: the tangent does not have the structure .* at argument 0"):
            cr.jvp(lambda m: loss(m, X), (m,), ({"2.bias": np.ones(2)},))

    def test_one_twice(self) -> None:
        m = model()
        with pytest.raises(ValueError, match=r"^grad: argument 1 has a parameter \(weight\) of an earlier argument"):
            cr.grad(lambda a, b: loss(a, X), (0, 1))(m, m[0])

    def test_another_module_s_parameters_keep_the_graph(self) -> None:
        m, other = model(), model()
        g = cr.grad(lambda m: loss(m, X) * cr.sum(other[0].bias + 1.0))(m)  # type: ignore[attr-defined]
        cr.sum(g["2.bias"]).backward()
        assert other[0].bias.grad is not None  # type: ignore[attr-defined]

    def test_the_modes_come_back_after_an_error(self) -> None:
        m = model()
        with pytest.raises(ZeroDivisionError):
            cr.grad(lambda m: 1 / 0)(m)
        assert not cr.grad(loss)(m, X)["0.bias"].requires_grad
