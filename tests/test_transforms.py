"""jvp, vjp and related transformations of functions: values, nesting, trees, auxiliary results, errors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits
from reference.bits import Array

T = cr.Tensor


def slope(f: Callable[..., Any], x: Any) -> Any:
    """The derivative in forward mode."""
    return cr.jvp(f, (x,), (cr.tensor(1.0),))[1]


class TestForward:
    def test_value_and_tangent(self) -> None:
        y, t = cr.jvp(lambda x, y: x * y * y, (2.0, 3.0), (1.0, 0.5))
        assert (y.item(), t.item()) == (18.0, 15.0)
        assert not y.requires_grad
        assert not t.requires_grad

    def test_a_tangent_of_none_is_zero(self) -> None:
        f = lambda x, y: x * y  # noqa: E731
        assert cr.jvp(f, (2.0, 3.0), (None, 1.0))[1].item() == 2.0
        assert cr.jvp(f, (2.0, 3.0), (None, None))[1].item() == 0.0

    def test_results_that_do_not_depend(self) -> None:
        outside = cr.tensor([5.0, 6.0])
        (y, z), (t, u) = cr.jvp(lambda x: (x, outside), (3.0,), (4.0,))
        assert (y.item(), t.item(), z.numpy().tolist(), u.numpy().tolist()) == (3.0, 4.0, [5.0, 6.0], [0.0, 0.0])

    def test_what_is_no_float_is_passed_on(self) -> None:
        def f(x: T, rows: Array, word: str) -> T:
            assert word == "square"
            return cr.take(x, rows) * x[0]

        x, rows = np.asarray([2.0, 3.0]), np.asarray([1, 1])
        assert cr.jvp(f, (x, rows, "square"), (x, None, None))[1].numpy().tolist() == [12.0, 12.0]
        gradients = cr.vjp(f, x, rows, "square")[1](np.ones(2))
        assert gradients[0].numpy().tolist() == [6.0, 4.0]
        assert gradients[1:] == (None, None)

    def test_broadcasting(self) -> None:
        x, y = np.asarray([[1.0], [2.0]]), np.asarray([3.0, 5.0, 7.0])
        t = cr.jvp(lambda x, y: x + y, (x, y), (x * 10, None))[1]
        assert t.numpy().tolist() == [[10.0] * 3, [20.0] * 3]
        both = cr.jvp(cr.mul, (x, y), (x * 10, y * 100))[1]
        assert np.array_equal(both.numpy(), 110 * x * y)

    def test_a_value_that_was_overwritten(self) -> None:
        state = cr.tensor([2.0])

        def f(x: T) -> T:
            y = x * state
            state.copy_([3.0])
            return y

        with pytest.raises(RuntimeError, match=r"^jvp: argument 1 of mul \(shape \(1,\)\) was overwritten"):
            cr.jvp(f, ([1.0],), ([1.0],))

    def test_a_forward_rule_that_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(cr.ops.OPS["matmul"].__dict__, "jvp", (None, "linear"))
        with pytest.raises(TypeError, match=r"^jvp: matmul has no forward rule for argument 0"):
            cr.jvp(cr.matmul, (np.ones((2, 2)), np.ones((2, 2))), (np.ones((2, 2)), None))

    def test_a_deep_graph(self) -> None:
        def f(x: T) -> T:
            for _ in range(20_000):
                x = x * 1.0
            return x

        assert slope(f, 3.0).item() == 1.0


class TestPullback:
    def test_is_called_often(self) -> None:
        y, pullback = cr.vjp(lambda a, b: cr.matmul(a, b), [[1.0, 2.0]], [[3.0], [4.0]])
        assert y.numpy().tolist() == [[11.0]]
        for k in (1.0, -2.0, 0.5):
            a, b = pullback([[k]])
            assert (a.numpy().tolist(), b.numpy().tolist()) == ([[3.0 * k, 4.0 * k]], [[k], [2.0 * k]])
        assert pullback()[1].numpy().tolist() == [[1.0], [2.0]]

    def test_without_a_gradient_it_wants_one_element(self) -> None:
        with pytest.raises(ValueError, match=r"^vjp: the output has shape \(2,\)"):
            cr.vjp(cr.exp, [1.0, 2.0])[1]()

    def test_of_several_results(self) -> None:
        results, pullback = cr.vjp(lambda x: {"a": x * 2.0, "b": (x * 3.0, x * x)}, 5.0)
        assert results["b"][1].item() == 25.0
        assert pullback({"a": 1.0, "b": (10.0, 100.0)})[0].item() == 2.0 + 30.0 + 1000.0
        assert pullback({"a": None, "b": (None, 1.0)})[0].item() == 10.0
        assert pullback({"a": 1.0, "b": None})[0].item() == 2.0

    def test_one_result_twice(self) -> None:
        def f(x: T) -> tuple[T, T]:
            y = cr.exp(x)
            return y, y

        assert cr.vjp(f, 0.0)[1]((2.0, 3.0))[0].item() == 5.0

    def test_equals_grad(self) -> None:
        rng = np.random.default_rng(1)
        x, w = rng.standard_normal((3, 4)), rng.standard_normal((4, 2))

        def f(x: Any, w: Any) -> T:
            return cr.sum(cr.tanh(cr.matmul(x, w)))

        for a, b in zip(cr.vjp(f, x, w)[1](), cr.grad(f, (0, 1))(x, w), strict=True):
            assert_same_bits(a.numpy(), b.numpy())


CUBE = lambda x: x * x * x  # noqa: E731


class TestNesting:
    """d/dx of x^4 and the like, in all orders of the modes; closures must not be confused with points."""

    @pytest.mark.parametrize("outer", [cr.grad, lambda f: lambda x: slope(f, x)], ids=["reverse", "forward"])
    @pytest.mark.parametrize("inner", [cr.grad, lambda f: lambda x: slope(f, x)], ids=["reverse", "forward"])
    def test_second_and_third_order(self, outer: Any, inner: Any) -> None:
        assert outer(inner(CUBE))(5.0).item() == 30.0
        assert outer(inner(outer(lambda x: x * CUBE(x))))(2.0).item() == 48.0
        assert outer(lambda x: x * inner(lambda y: x + y)(2.0))(1.0).item() == 1.0
        assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0).item() == 6.0
        assert outer(lambda x: inner(lambda y: x * y * y)(x))(3.0).item() == 12.0
        assert outer(lambda x: inner(lambda _: x * x)(1.0) + x)(5.0).item() == 1.0

    def test_by_the_tangent(self) -> None:
        """J t is linear in t: its gradient by t is J^T 1."""
        x = np.asarray([0.5, 1.5])
        g = cr.grad(lambda t: cr.sum(cr.jvp(cr.exp, (x,), (t,))[1]))(np.ones(2))
        assert np.allclose(g.numpy(), np.exp(x), rtol=1e-15)

    def test_by_the_gradient_that_arrives(self) -> None:
        x = np.asarray([0.5, 1.5])
        t = cr.jvp(lambda g: cr.vjp(cr.exp, x)[1](g)[0], (np.ones(2),), (np.asarray([2.0, 3.0]),))[1]
        assert np.allclose(t.numpy(), np.exp(x) * [2.0, 3.0], rtol=1e-15)

    def test_a_pullback_inside(self) -> None:
        def f(x: T) -> T:
            _, pullback = cr.vjp(CUBE, x)
            return pullback(1.0)[0] * pullback(x)[0]  # 3x^2 * 3x^3

        assert cr.grad(f)(2.0).item() == 45 * 16.0
        assert slope(f, 2.0).item() == 45 * 16.0

    def test_results_depend_on_parameters_outside(self) -> None:
        w = cr.nn.Parameter([1.5, -2.0])
        t = cr.jvp(lambda x: cr.sum(x * x * w), ([1.0, 3.0],), ([1.0, 1.0],))[1]
        t.backward()
        assert w.grad is not None
        assert w.grad.numpy().tolist() == [2.0, 6.0]

    def test_without_recording_nothing_is_kept(self) -> None:
        w = cr.nn.Parameter([1.5, -2.0])
        with cr.no_grad():
            y, t = cr.jvp(lambda x: x * w, ([1.0, 3.0],), ([1.0, 1.0],))
            _, pullback = cr.vjp(lambda x: x * w, [1.0, 3.0])
            found = [y, t, *pullback([1.0, 1.0])]
        assert [x.requires_grad for x in found] == [False] * 3
        assert t.numpy().tolist() == [1.5, -2.0]

    @pytest.mark.parametrize("cut", [lambda x: x.detach(), cr.no_grad()(lambda x: x * 1.0)], ids=["detach", "no_grad"])
    def test_what_is_cut_has_no_derivative_in_either_mode(self, cut: Callable[[T], T]) -> None:
        f = lambda x: x * cut(x)  # noqa: E731
        assert cr.grad(f)(3.0).item() == slope(f, 3.0).item() == 3.0


class Layer(NamedTuple):
    W: Any
    b: Any


def layers() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    first = Layer(rng.standard_normal((3, 4)), rng.standard_normal(4))
    return {"layers": [first, (rng.standard_normal((4, 2)), None)], "scale": 1.5}


def run(p: Any, x: Any) -> T:
    first, (last, nothing) = p["layers"]
    assert isinstance(first, Layer)
    assert nothing is None
    return cr.sum(cr.square(cr.matmul(cr.tanh(cr.linear(x, *first)), last))) * cr.astype(p["scale"], np.float64)


X = np.random.default_rng(3).standard_normal((5, 3))


class TestTrees:
    def test_the_gradient_is_a_tree_like_the_argument(self) -> None:
        p = layers()
        g = cr.grad(run)(p, X)
        assert list(g) == ["layers", "scale"]
        assert isinstance(g["layers"], list)
        first, last = g["layers"]
        assert isinstance(first, Layer)
        assert isinstance(last, tuple)
        assert last[1] is None
        leaves = p["layers"][0].W, p["layers"][0].b, p["layers"][1][0], np.float32(1.5)
        found = first.W, first.b, last[0], g["scale"]
        assert [(x.shape, x.dtype) for x in found] == [(x.shape, x.dtype) for x in leaves]

        def plain(W: Any, b: Any, V: Any, scale: Any) -> T:
            return run({"layers": [Layer(W, b), (V, None)], "scale": scale}, X)

        for a, b in zip(found, cr.grad(plain, (0, 1, 2, 3))(*leaves), strict=True):
            assert_same_bits(a.numpy(), b.numpy())

    def test_all_transformations_take_them(self) -> None:
        p = layers()
        y, g = cr.value_and_grad(run)(p, X)
        again, pullback = cr.vjp(lambda p: run(p, X), p)
        _, t = cr.jvp(lambda p: run(p, X), (p,), ({"layers": [Layer(None, p["layers"][0].b), None], "scale": 2.0},))
        assert again.item() == y.item()
        assert_same_bits(pullback()[0]["layers"][0].W.numpy(), g["layers"][0].W.numpy())
        b = float(np.sum(g["layers"][0].b.numpy() * p["layers"][0].b))
        assert abs(t.item() - (b + g["scale"].item() * 2.0)) < 1e-6 * abs(t.item())  # the scale is float32
        assert cr.gradcheck(lambda w, b: run({**p, "layers": [Layer(w, b), p["layers"][1]]}, X), p["layers"][0])

    def test_lists_of_numbers_are_arrays_others_are_trees(self) -> None:
        assert cr.grad(cr.sum)([1.0, 2.0]).shape == (2,)
        assert cr.grad(cr.sum)(((1.0, 2.0), (3.0, 4.0))).shape == (2, 2)
        a, b = cr.grad(lambda p: p[0] * p[1][0] * p[1][1])([cr.tensor(2.0), [3.0, 5.0]])
        assert (a.item(), b.numpy().tolist()) == (15.0, [10.0, 6.0])
        assert cr.grad(lambda p: p["x"] * 2.0)({"x": 1.0, "empty": [], "no": None})["empty"] == []

    def test_results_are_trees(self) -> None:
        y, t = cr.jvp(lambda x: {"a": [x * 2.0], "b": Layer(x * x, None)}, (3.0,), (1.0,))
        assert (y["a"][0].item(), y["b"].W.item(), y["b"].b) == (6.0, 9.0, None)
        assert (t["a"][0].item(), t["b"].W.item(), t["b"].b) == (2.0, 6.0, None)

    @pytest.mark.parametrize(
        ("bad", "what"),
        [
            (np.asarray([1, 2]), "int64"), ([1, 2], "int64"), (True, "bool"), ("word", "str"), (cr.sum, "function"),
            (slice(1), "slice"),
        ],
        ids=lambda x: getattr(x, "__name__", str(x)),
    )  # fmt: skip
    def test_leaves_that_are_no_floats(self, bad: Any, what: str) -> None:
        with pytest.raises(
            TypeError, match=r"^grad: can .* float64 only, got " + what + r" at argument 1\['a'\]\[1\]$"
        ):
            cr.grad(lambda x, p: x, 1)(1.0, {"a": (cr.tensor(1.0), bad)})

    @pytest.mark.parametrize(
        ("tangent", "message"),
        [
            ({"W": np.ones(2)}, r"expected a dict of 'W', 'b' at argument 0, got a dict of 'W'$"),
            ({"W": np.ones(2), "c": None}, r"expected a dict of 'W', 'b' at argument 0, got a dict of 'W', 'c'$"),
            (np.ones(2), r"expected a dict of 'W', 'b' at argument 0, got ndarray$"),
            ({"W": np.ones(2), "b": (1.0, 2.0)}, r"expected 1 parts at argument 0\['b'\], got tuple of 2 parts$"),
        ],
    )
    def test_tangents_of_another_structure(self, tangent: Any, message: str) -> None:
        primal = {"W": np.ones(2), "b": [np.ones(())]}
        with pytest.raises(TypeError, match=r"^jvp: the tangent does not have the structure of .*: " + message):
            cr.jvp(lambda p: cr.sum(p["W"]), (primal,), (tangent,))

    def test_tangents_of_another_kind(self) -> None:
        primal = {"W": np.ones(2), "b": [np.ones(())]}
        f = lambda p: cr.sum(p["W"])  # noqa: E731
        with pytest.raises(
            ValueError, match=r"^jvp: the tangent of argument 0\['W'\] is float64 \(3,\), the argument "
        ):
            cr.jvp(f, (primal,), ({"W": np.ones(3), "b": None},))
        with pytest.raises(ValueError, match=r"^jvp: .* is float32 \(2,\), the argument float64 \(2,\)"):
            cr.jvp(f, (primal,), ({"W": np.ones(2, np.float32), "b": None},))
        with pytest.raises(TypeError, match=r"^jvp: the tangent of argument 0\['W'\] must be a tensor, got dict"):
            cr.jvp(f, (primal,), ({"W": {}, "b": None},))
        with pytest.raises(ValueError, match=r"^vjp: the gradient of result\['a'\] is float64 \(3,\), the result "):
            cr.vjp(lambda x: {"a": x}, np.ones(2))[1]({"a": np.ones(3)})
        with pytest.raises(TypeError, match=r"^vjp: the gradient does not have the structure of the result: "):
            cr.vjp(lambda x: {"a": x}, np.ones(2))[1](np.ones(2))

    @pytest.mark.parametrize(
        ("result", "message"),
        [
            (lambda x: {"loss": 1.0}, r"must return a tensor, got float at result\['loss'\]$"),
            (lambda x: (x, cr.argmax(x)), r"must return float32 or float64, got int64 at result\[1\]$"),
            (lambda x: None, r"must return a tensor, got NoneType$"),
            (lambda x: [x, np.ones(2)], r"must return a tensor, got ndarray at result\[1\]$"),
        ],
    )
    def test_results_that_are_no_tensors(self, result: Any, message: str) -> None:
        with pytest.raises(TypeError, match=r"^vjp: the function " + message):
            cr.vjp(result, [1.0, 2.0])

    def test_grad_wants_one_tensor(self) -> None:
        with pytest.raises(TypeError, match=r"^grad: the function must return a tensor, got tuple$"):
            cr.grad(lambda x: (x, x))(1.0)

    @pytest.mark.parametrize("argnums", ["x", 1.0, True, (0, "x")])
    def test_argnums_are_integers(self, argnums: Any) -> None:
        with pytest.raises(TypeError, match=r"^(grad|jacobian): argnums must be"):
            cr.grad(cr.mul, argnums)(1.0, 2.0)

    def test_primals_and_tangents_belong_together(self) -> None:
        with pytest.raises(TypeError, match=r"^jvp: primals must be a tuple with one for each argument, got Tensor"):
            cr.jvp(cr.exp, cr.tensor(1.0), (1.0,))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^jvp: tangents must be a tuple with one for each argument, got float"):
            cr.jvp(cr.exp, (1.0,), 1.0)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^jvp: expected a tangent for each of 1 arguments, got 2"):
            cr.jvp(cr.exp, (1.0,), (1.0, 2.0))


class TestExtraResults:
    def test_all_transformations(self) -> None:
        def f(x: T) -> tuple[T, dict[str, Any]]:
            return x * x, {"twice": x * 2.0, "word": "seen"}

        y, t, extra = cr.jvp(f, (3.0,), (1.0,), has_aux=True)
        assert (y.item(), t.item(), extra["twice"].item(), extra["word"]) == (9.0, 6.0, 6.0, "seen")
        y, pullback, extra = cr.vjp(f, 3.0, has_aux=True)
        assert (y.item(), pullback()[0].item(), extra["word"]) == (9.0, 6.0, "seen")
        j, extra = cr.jacobian(f, has_aux=True)(3.0)
        assert (j.item(), extra["twice"].item()) == (6.0, 6.0)
        h, extra = cr.hessian(f, has_aux=True)(3.0)
        assert (h.item(), extra["twice"].item()) == (2.0, 6.0)
        (y, extra), g = cr.value_and_grad(f, has_aux=True)(3.0)
        assert (g.item(), extra["twice"].requires_grad) == (6.0, False)

    def test_they_are_differentiated_by_what_is_outside(self) -> None:
        outer = cr.grad(lambda x: cr.grad(lambda y: (y * y, x * x), has_aux=True)(1.0)[1])
        assert outer(3.0).item() == 6.0

    def test_the_function_must_return_two(self) -> None:
        with pytest.raises(
            TypeError, match=r"^grad: with has_aux the function must return \(value, extra\), got Tensor"
        ):
            cr.grad(lambda x: x, has_aux=True)(1.0)
