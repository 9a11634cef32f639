"""Custom ops: values, derivatives of every order and mode, return values of their rules."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr

T = cr.Tensor


def product(jvp: bool) -> Any:
    """sum over rows of x @ w, with both rules or one."""

    def vjp(g: T, out: T, inputs: tuple[T, ...]) -> tuple[T, T]:
        x, w = inputs
        return cr.matmul(g, w.T), cr.matmul(x.T, g)

    def push(tangents: tuple[T, ...], out: T, inputs: tuple[T, ...]) -> T:
        (s, t), (x, w) = tangents, inputs
        return cr.matmul(s, w) + cr.matmul(x, t)

    return cr.custom_op("product", cr.matmul, vjp, push if jvp else None)


@pytest.mark.parametrize("jvp", [True, False], ids=["jvp", "transposed vjp"])
def test_all_derivatives(jvp: bool) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((3, 4)), rng.standard_normal((4, 2))
    op = product(jvp)
    assert np.array_equal(op(x, w).numpy(), cr.matmul(x, w).numpy())
    assert cr.gradcheck(lambda x, w: cr.tanh(op(x, w)), [x, w], order=2, rtol=1e-4)
    assert cr.gradcheck(lambda x: cr.tanh(op(x, w)), [x], order=3, rtol=1e-3, atol=1e-5)
    f, g = (lambda x, p=p: cr.sum(cr.square(p(x, w))) for p in (op, cr.matmul))
    assert np.allclose(cr.hessian(f)(x).numpy(), cr.hessian(g)(x).numpy(), rtol=1e-13)


def test_as_a_decorator() -> None:
    @cr.custom_op("double", vjp=lambda g, out, x: (g * 2.0,))
    def double(x: T) -> T:
        """Twice x."""
        return x * 2.0

    assert (double.__name__, double.__doc__) == ("double", "Twice x.")
    assert cr.grad(lambda x: double(double(x)))(1.0).item() == 4.0


def test_the_rules_hold_not_the_graph_of_forward() -> None:
    """A straight-through step: the derivative is that of the rule."""
    step = cr.custom_op("step", lambda x: cr.where(x > 0, 1.0, x * 0.0), lambda g, out, x: g)
    x = cr.tensor([-1.0, 2.0], requires_grad=True)
    y = step(x)
    assert y.numpy().tolist() == [0.0, 1.0]
    y.backward([3.0, 4.0])
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [3.0, 4.0]
    with cr.no_grad():
        assert not step(x).requires_grad


def test_arguments_without_a_gradient() -> None:
    def times(x: T, i: T) -> T:
        return x * cr.astype(i, x.dtype)

    op = cr.custom_op("times", times, lambda g, out, x: (times(g, x[1]), None))
    x, i = np.asarray([1.0, 2.0]), np.asarray([3, 4])
    assert cr.grad(lambda x: cr.sum(op(x, i)))(x).numpy().tolist() == [3.0, 4.0]
    assert cr.jvp(lambda x: op(x, i), (x,), (x,))[1].numpy().tolist() == [3.0, 8.0]


def test_tangents_are_never_none_where_there_can_be_one() -> None:
    seen = []

    def jvp(tangents: tuple[T, ...], out: T, inputs: tuple[T, ...]) -> T:
        seen.append(tangents)
        return tangents[0] + tangents[1]

    op = cr.custom_op("plus", lambda a, b: a + b, lambda g, out, x: (g, g), jvp)
    assert cr.jvp(lambda a: op(a, [1.0, 2.0]), ([3.0, 4.0],), ([1.0, 1.0],))[1].numpy().tolist() == [1.0, 1.0]
    assert seen[0][1].numpy().tolist() == [0.0, 0.0]


class TestNumPyInside:
    """Allowed where values are known; results computed without ops have no higher derivative and raise an error."""

    def test_forward(self) -> None:
        sine = cr.custom_op("sine", lambda x: cr.tensor(np.sin(x.numpy())), lambda g, out, x: g * cosine(x[0]))
        cosine = cr.custom_op("cosine", lambda x: cr.tensor(np.cos(x.numpy())), lambda g, out, x: -(g * sine(x[0])))
        assert cr.gradcheck(sine, [np.asarray([0.3, 1.0])], order=3, rtol=1e-3, atol=1e-5)

    def test_the_rules(self) -> None:
        op = cr.custom_op(
            "sine",
            lambda x: cr.tensor(np.sin(x.numpy())),
            lambda g, out, x: cr.tensor(g.numpy() * np.cos(x[0].numpy())),
            lambda t, out, x: cr.tensor(t[0].numpy() * np.cos(x[0].numpy())),
        )
        x, w = np.float64(0.5), cr.nn.Parameter(np.float64(2.0))
        for slope in (cr.grad(op)(x), cr.jvp(op, (x,), (np.float64(1.0),))[1], cr.grad(lambda x: op(x) * w / w)(x)):
            assert abs(slope.item() - np.cos(0.5)) < 1e-15
        message = r"^sine: (vjp's gradient of argument 0|jvp's tangent) was not computed by ops from its arguments"
        for again in (cr.grad(cr.grad(op)), cr.grad(lambda x: cr.jvp(op, (x,), (x,))[1])):
            with pytest.raises(TypeError, match=message):
                again(x)
        for first in (cr.grad(op), lambda x: cr.jvp(op, (x,), (x,))[1]):
            with pytest.raises(TypeError, match=message):
                cr.jvp(first, (x,), (x,))

    def test_forward_mode_from_such_a_vjp(self) -> None:
        op = cr.custom_op("id", lambda x: x, lambda g, out, x: cr.tensor(g.numpy()))
        assert cr.grad(op)(2.0).item() == 1.0
        with pytest.raises(TypeError, match=r"^id: vjp's gradient of argument 0 was not computed by ops"):
            cr.jvp(op, (2.0,), (1.0,))


SAVED: dict[str, Any] = {}


def saving_array(x: T) -> T:
    SAVED["cos"] = np.cos(x.numpy())
    return cr.tensor(np.sin(x.numpy()))


def saving_tensor(x: T) -> T:
    SAVED["cos"] = cosine_in_ops(x)
    return sine_in_ops(x)


def sine_in_ops(x: T) -> T:
    """Taylor's formula, good enough for a derivative of another function to be wrong."""
    return x - x * x * x / 6.0 + x * x * x * x * x / 120.0


def cosine_in_ops(x: T) -> T:
    return 1.0 - x * x / 2.0 + x * x * x * x / 24.0


def without_graph(x: T) -> T:
    with cr.no_grad():
        return x * 1.0


def numpy_sine(x: T) -> T:
    return cr.tensor(np.sin(x.numpy()))


# Rules that give the right first derivative of sin, from values: their graphs do not show that it depends on x.
READS: dict[str, tuple[Any, Any]] = {
    "numpy": (numpy_sine, lambda g, out, x: g * np.cos(x[0].numpy())),
    "array": (numpy_sine, lambda g, out, x: g * np.cos(np.array(x[0].tolist()))),
    "detached": (numpy_sine, lambda g, out, x: g * np.cos(x[0].detach().numpy())),
    "reshaped": (numpy_sine, lambda g, out, x: g * np.cos(x[0].reshape(-1).numpy()).reshape(x[0].shape)),
    "of a result": (numpy_sine, lambda g, out, x: g * np.cos((x[0] * 1.0).numpy())),
    "of a detached result": (numpy_sine, lambda g, out, x: g * np.cos((x[0] * 1.0).detach().numpy())),
    "without a graph": (numpy_sine, lambda g, out, x: g * np.cos(without_graph(x[0]).numpy())),
    "from the output": (numpy_sine, lambda g, out, x: g * np.sqrt(1 - np.square(out.numpy()))),
    "also by ops": (numpy_sine, lambda g, out, x: g * (np.cos(x[0].numpy()) + 0.0 * x[0])),
    "as a tuple": (numpy_sine, lambda g, out, x: (cr.tensor(np.cos(x[0].numpy())) * g,)),
    "of the gradient": (numpy_sine, lambda g, out, x: cr.tensor(g.numpy() * np.cos(x[0].numpy()))),
    "array saved by forward": (saving_array, lambda g, out, x: g * SAVED["cos"]),
    "tensor saved by forward": (saving_tensor, lambda g, out, x: g * SAVED["cos"]),
    "saved tensor, read": (saving_tensor, lambda g, out, x: g * SAVED["cos"].numpy().copy()),
}
HIGHER: dict[str, Any] = {
    "grad of grad": lambda f, x: cr.grad(lambda x: cr.sum(cr.grad(lambda x: cr.sum(f(x)))(x)))(x),
    "hessian": lambda f, x: cr.hessian(lambda x: cr.sum(f(x)))(x),
    "hvp": lambda f, x: cr.hvp(lambda x: cr.sum(f(x)), (x,), (x,)),
    "jvp of grad": lambda f, x: cr.jvp(cr.grad(lambda x: cr.sum(f(x))), (x,), (x,)),
    "grad of jvp": lambda f, x: cr.grad(lambda x: cr.sum(cr.jvp(f, (x,), (np.ones_like(x),))[1]))(x),
    "jvp of jvp": lambda f, x: cr.jvp(lambda x: cr.jvp(f, (x,), (np.ones(x.shape),))[1], (x,), (x,)),
    "create_graph": lambda f, x: create_graph(f, x),
    "gradcheck": lambda f, x: cr.gradcheck(f, [x], order=2),
    "in a function": lambda f, x: cr.hessian(lambda x: cr.sum(cr.square(x) + cr.exp(f(x) * x)))(x),
    "40 columns": lambda f, x: cr.hessian(lambda x: cr.sum(f(x)))(np.tile(x, 20)),
}


def create_graph(f: Any, x: Any) -> None:
    leaf = cr.tensor(x, requires_grad=True)
    cr.backward(cr.sum(f(leaf)), create_graph=True)
    assert leaf.grad is not None
    cr.backward(cr.sum(leaf.grad))


class TestValuesInRules:
    """What a rule computed from values cannot be differentiated again: an error, not 0."""

    @pytest.mark.parametrize("how", HIGHER)
    @pytest.mark.parametrize("rule", READS)
    def test_an_error(self, rule: str, how: str) -> None:
        forward, vjp = READS[rule]
        for name, jvp in (("vjp", None), ("both", lambda t, out, x: vjp(t[0], out, x))):
            op = cr.custom_op(f"sine_{name}", forward, vjp, None if rule == "as a tuple" else jvp)
            x = np.asarray([0.5, 0.25])
            assert np.allclose(cr.grad(lambda x: cr.sum(op(x)))(x).numpy(), np.cos(x), rtol=1e-2)  # noqa: B023
            with pytest.raises(TypeError, match=r"^sine_.*: .* so it cannot be differentiated again"):
                HIGHER[how](op, x)

    def test_a_scalar(self) -> None:
        x = np.asarray(1.0)
        rules: list[Any] = [
            lambda g, out, i: g * np.cos(i[0].numpy()),
            lambda g, out, i: g * float(np.cos(i[0].item())),
            lambda g, out, i: g * float(np.cos(float(i[0]))),
        ]
        for rule in rules:
            op = cr.custom_op("sine", numpy_sine, rule)
            orders: list[Any] = [cr.grad(cr.grad(op)), cr.hessian(op), lambda x: cr.hvp(op, (x,), (x,))]  # noqa: B023
            for again in orders:
                with pytest.raises(TypeError, match=r"^sine: "):
                    again(x)
        with pytest.raises(TypeError, match=r"^sine: "):
            cr.grad(cr.grad(cr.custom_op("sine", saving_array, lambda g, out, x: g * SAVED["cos"])))(x)

    def test_a_captured_parameter(self) -> None:
        w = cr.nn.Parameter(np.asarray([2.0]))
        op = cr.custom_op("times", lambda x: x * w, lambda g, out, x: g * w.numpy())
        x = cr.tensor(np.asarray([3.0]), requires_grad=True)
        cr.backward(cr.sum(op(x) * op(x)), create_graph=True)
        with pytest.raises(TypeError, match=r"^times: "):
            cr.backward(cr.sum(x.grad))

    def test_first_derivatives_beside_other_variables(self) -> None:
        """The node matters only to derivatives by the argument."""
        op = cr.custom_op("sine", numpy_sine, lambda g, out, x: g * np.cos(x[0].numpy()))
        x = np.asarray([0.5, 0.25])
        slope = cr.grad(lambda w: cr.sum(w * cr.grad(lambda x: cr.sum(op(x) * w))(x)))(np.asarray([2.0, 3.0]))
        assert np.allclose(slope.numpy(), 2 * np.asarray([2.0, 3.0]) * np.cos(x))
        assert np.allclose(cr.jacobian(op, mode="forward")(x).numpy(), np.diag(np.cos(x)))
        pushed = cr.jvp(lambda t: cr.jvp(op, (x,), (t,))[1], (x,), (np.ones(2),))[1]
        assert np.allclose(pushed.numpy(), np.cos(x))

    def test_rules_in_ops_have_all_derivatives(self) -> None:
        """Whatever else the rule looks at: shapes, integers, constants, the values of other tensors."""
        scale = cr.tensor(np.asarray([2.0, 3.0]))
        table = np.asarray([1.0, 2.0])

        def vjp(g: T, out: T, inputs: tuple[T, ...]) -> tuple[T, None]:
            x, i = inputs
            assert i.numpy().tolist() == [0, 1]
            assert scale.numpy()[0] == 2.0
            return g * 3.0 * cr.square(x) * scale * cr.tensor(table), None

        op = cr.custom_op("cube", lambda x, i: cr.square(x) * x * scale * table, vjp)
        x, i = np.asarray([0.5, -1.5]), np.asarray([0, 1])
        assert cr.gradcheck(lambda x: op(x, i), [x], order=3, rtol=1e-4)
        expected = np.diag(6 * x * scale.numpy() * table)
        assert np.allclose(cr.hessian(lambda x: cr.sum(op(x, i)))(x).numpy(), expected)

    def test_a_straight_through_rule(self) -> None:
        """NumPy in the forward function and a constant slope: the rule says what the derivatives are."""
        op = cr.custom_op("rounded", lambda x: cr.tensor(np.round(x.numpy())), lambda g, out, x: g)
        twice = cr.custom_op("rounded_twice", lambda x: cr.tensor(2 * np.round(x.numpy())), lambda g, out, x: g * 2.0)
        x = np.asarray([0.75, 2.25])
        assert cr.hessian(lambda x: cr.sum(cr.square(op(x))))(x).numpy().tolist() == [[2.0, 0.0], [0.0, 2.0]]
        assert cr.hessian(lambda x: cr.sum(cr.square(twice(x))))(x).numpy().tolist() == [[8.0, 0.0], [0.0, 8.0]]

    def test_compiled(self) -> None:
        op = cr.custom_op("sine", sine_in_ops, lambda g, out, x: g * np.cos(x[0].numpy()))
        for f in (cr.compile(cr.grad(cr.grad(op))), cr.grad(cr.grad(cr.compile(op))), cr.hessian(cr.compile(op))):
            with pytest.raises(cr.CompileError, match="value of a tensor"):
                f(np.asarray(1.0))


class TestErrors:
    @pytest.mark.parametrize(
        ("returned", "error", "message"),
        [
            (lambda g, out, x: (g,), TypeError, r"vjp must return a gradient for each of 2 arguments, got 1$"),
            (lambda g, out, x: g, TypeError, r"vjp must return a gradient for each of 2 arguments, got Tensor$"),
            (lambda g, out, x: (g, g), ValueError, r"vjp's gradient of argument 1 is float32 \(2,\), expected .* \(\)"),
            (lambda g, out, x: (g.astype("float64"), None), ValueError, r"vjp's gradient of argument 0 is float64"),
            (lambda g, out, x: (None, 1.0), TypeError, r"vjp's gradient of argument 1 must be a tensor, got float$"),
        ],
    )  # fmt: skip
    def test_of_a_vjp(self, returned: Any, error: type[Exception], message: str) -> None:
        op = cr.custom_op("scale", lambda x, s: x * s, returned)
        with pytest.raises(error, match="^scale: " + message):
            cr.grad(lambda x, s: cr.sum(op(x, s)), (0, 1))([1.0, 2.0], 3.0)

    @pytest.mark.parametrize(
        ("returned", "error", "message"),
        [
            (lambda t, out, x: cr.sum(t[0]), ValueError, r"jvp's tangent is float32 \(\), expected float32 \(2,\)"),
            (lambda t, out, x: t, TypeError, r"jvp's tangent must be a tensor, got tuple$"),
        ],
    )
    def test_of_a_jvp(self, returned: Any, error: type[Exception], message: str) -> None:
        op = cr.custom_op("scale", lambda x: x * 2.0, lambda g, out, x: g * 2.0, returned)
        with pytest.raises(error, match="^scale: " + message):
            cr.jvp(op, ([1.0, 2.0],), ([1.0, 2.0],))

    def test_of_forward(self) -> None:
        op = cr.custom_op("sine", lambda x: np.sin(x.numpy()), lambda g, out, x: g)
        with pytest.raises(TypeError, match=r"^sine: forward must return a tensor, got ndarray$"):
            op([1.0])

    def test_of_the_declaration(self) -> None:
        for name in ("relu", "", 3):
            with pytest.raises(
                ValueError, match=r"^custom_op: name must be a non-empty string that no other op has, got"
            ):
                cr.custom_op(name, lambda x: x, lambda g, out, x: g)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^twice: expected a vjp"):
            cr.custom_op("twice", lambda x: x * 2.0)
