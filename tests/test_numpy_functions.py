"""NumPy's functions on tensors: those with an op have NumPy's values and the right gradients, all others are refused.

The tests go over all names of the installed NumPy, so a function that a new version adds is tested as well.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.numpy_calls import CALLS
from chainrule.ops._numpy import FUNCTIONS, REDUCTIONS, UFUNCS
from reference.bits import Array

DRAWS = 20
NAMES = [name for name in CALLS if name.split(".")[0] in dir(np) and (name != "row_stack" or np.row_stack is np.vstack)]


class Draw:
    """A random call of a function, and the weighted sum of its result."""

    def __init__(self, name: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.arrays, self.function = CALLS[name](rng)
        self.expected = self.function(*self.arrays)
        self.differentiable = isinstance(self.expected, (np.ndarray, np.floating)) and self.expected.dtype.kind == "f"
        self.differentiable &= not name.endswith("_like")
        self.weight = rng.uniform(0.5, 1.5, np.shape(self.expected))
        self.directions = tuple(rng.uniform(-1.0, 1.0, a.shape) for a in self.arrays)
        self.numbers = tuple(range(len(self.arrays)))

    def sum(self, *x: Any) -> cr.Tensor:
        return cr.sum(self.function(*x) * self.weight)

    def differences(self) -> list[Array]:
        """The gradients of NumPy's own result by central differences."""
        gradients = []
        for a in self.arrays:
            g = np.empty(a.shape)
            for i in np.ndindex(a.shape):
                x, h = a[i], 1e-6
                a[i] = x + h
                above = np.sum(self.function(*self.arrays) * self.weight)
                a[i] = x - h
                g[i] = (above - np.sum(self.function(*self.arrays) * self.weight)) / (2 * h)
                a[i] = x
            gradients.append(g)
        return gradients


class TestFunctionsWithAnOp:
    def test_each_has_random_calls(self) -> None:
        functions = {getattr(np, name) for name in CALLS if name in dir(np)} | {np.linalg.norm}
        assert {**UFUNCS, **FUNCTIONS}.keys() - {np.empty_like} <= functions
        assert {f"{ufunc.__name__}.reduce" for ufunc in REDUCTIONS} <= CALLS.keys()

    @pytest.mark.parametrize("name", NAMES)
    def test_values(self, name: str) -> None:
        for seed in range(DRAWS):
            draw = Draw(name, seed)
            y = draw.function(*[cr.tensor(a, requires_grad=True) for a in draw.arrays])
            if isinstance(draw.expected, (int, tuple)) or name.endswith("_like"):
                assert np.array_equal(y, draw.expected)
                assert getattr(y, "dtype", None) == getattr(draw.expected, "dtype", None)
                continue
            assert isinstance(y, cr.Tensor)
            assert (y.shape, y.dtype, y.requires_grad) == (
                draw.expected.shape, draw.expected.dtype, draw.differentiable,
            )  # fmt: skip
            np.testing.assert_allclose(y.numpy(), draw.expected, rtol=1e-13, atol=1e-14)
            assert cr.compile(draw.function)(*draw.arrays).tolist() == y.tolist()

    @pytest.mark.parametrize("name", NAMES)
    def test_gradients(self, name: str) -> None:
        for draw in (Draw(name, seed) for seed in range(DRAWS)):
            if not draw.differentiable:
                continue
            gradients = cr.grad(draw.sum, draw.numbers)(*draw.arrays)
            for g, expected in zip(gradients, draw.differences(), strict=True):
                np.testing.assert_allclose(g.numpy(), expected, rtol=1e-6, atol=1e-7)
            for g, c in zip(gradients, cr.compile(cr.grad(draw.sum, draw.numbers))(*draw.arrays), strict=True):
                assert g.tolist() == c.tolist()
            slope = cr.jvp(draw.sum, tuple(draw.arrays), draw.directions)[1].item()
            total = sum(np.sum(g.numpy() * d) for g, d in zip(gradients, draw.directions, strict=True))
            assert math.isclose(slope, total, rel_tol=1e-10, abs_tol=1e-12)
            tensors = [cr.tensor(a, requires_grad=True) for a in draw.arrays]
            draw.sum(*tensors).backward()
            for t, g in zip(tensors, gradients, strict=True):
                assert np.array_equal(0.0 * g.numpy() if t.grad is None else t.grad.numpy(), g.numpy())

    @pytest.mark.parametrize("name", NAMES)
    def test_second_derivatives(self, name: str) -> None:
        for draw in (Draw(name, 100 + seed) for seed in range(3)):
            if draw.differentiable:
                f = lambda *x, draw=draw: cr.sum(cr.square(draw.function(*x)) * draw.weight)  # noqa: E731
                assert cr.gradcheck(cr.grad(f), draw.arrays)

    def test_float32_stays(self) -> None:
        x = cr.tensor([1.0, 2.0], requires_grad=True)
        for y in (np.exp(x), np.float64(2.0) * x, np.add(2.0, x), np.sum(x), np.ones(2, np.float32) / x, np.mean(x)):
            assert isinstance(y, cr.Tensor)
            assert (y.dtype, y.requires_grad) == (np.float32, True)


# Functions without an op.

HAVE_OPS = {*UFUNCS, *FUNCTIONS}
SKIPPED = {
    *("test", "show_config", "show_runtime", "info", "lookfor", "source", "who", "deprecate", "get_include"),
    *("seterr", "seterrcall", "seterrobj", "setbufsize", "set_printoptions", "set_string_function", "set_numeric_ops"),
    *("empty", "ndarray", "recarray", "str_", "unicode_", "Tester"),
}  # print, change NumPy's state, run its tests, return memory that was not set, or the text of any object
if np.lib.NumpyVersion(np.__version__) < "2.0.0":
    SKIPPED |= {"correlate", "str0"}  # correlate crashes the process for a mode that is no string
    SKIPPED |= {"allclose", "binary_repr"}  # they take options for numbers, and only compare them
# Python's __float__ and __int__ make these functions read single numbers, as float(x) does: free outside of
# transformations, an error inside.
READ_NUMBERS = {
    *("base_repr", "format_float_positional", "format_float_scientific", "fromiter", "tri", "tril_indices"),
    *(
        "triu_indices",
        "double",
        "float64",
        "float_",
        "cdouble",
        "clongdouble",
        "clongfloat",
        "complex128",
        "complex256",
    ),
    *("complex64", "complex_", "csingle", "cfloat", "longcomplex", "singlecomplex"),
}
CALLABLES = [
    name
    for name in dir(np)
    if name[0] != "_" and name not in SKIPPED and callable(getattr(np, name)) and getattr(np, name) not in HAVE_OPS
]


def calls(x: Any) -> Iterator[tuple[Any, ...]]:
    """Arguments of many kinds of functions."""
    a, n = np.array([3.0, 1.0, 2.0]), np.array([0, 2, 1])
    first, column = (x[0], x[:, None]) if x.ndim else (x, x)
    yield from ((x,), (x, x), (x, a), (a, x), (x, x, x), (x, a, a), (a, a, x), (a, x, a), (x, 0), (x, 1), (0, x))
    yield from ((1, x), ([x, x],), ([x, a],), ([first, 1.0],), ([x, a], 0), (x, 0, 1), (x, n), (n, x), (x, n, a))
    yield from ((a, n, x), (x, [x > 0], [np.arcsin]), (np.sum, 0, x), (np.sum, x, [0]), (x, 2, 0), (0, x, 3), (x, 1, 3))
    yield from ((a > 1, x), ("i->", x), ("i,i->", x, a), (a > 1, a, x), (x, a > 1, a), (a, a > 1, x), ([a > 1], [x]))
    yield from ((x[None],), (column,), (first,), (first, first), (x, "x"), (x, float), (lambda: 0, x), (np.eye(3), x))
    yield from ((x[None], 0), (x, [1, 1]), (x, (1, 1)), (x, a, n), ([x, a], [a, x]), (a, n, x, 0), (x, n, a, 0))


def described(result: Any) -> Any:
    """What a result holds apart from tensors, for comparison."""
    if isinstance(result, (np.ndarray, np.generic)):
        return described(result.tolist())
    if isinstance(result, dict):
        return described(list(result.items()))
    several = (list, tuple, np.flatiter, np.nditer, np.ndenumerate)
    if isinstance(result, several) or type(result).__name__ == "generator":
        return [described(item) for item in result]
    return repr(result) if isinstance(result, (str, bytes, bool, int, float, complex, slice, range)) else type(result)


def outcomes(function: Callable[..., Any], x: Any) -> tuple[list[Any], list[str]]:
    """The results of all calls, None for an error; and the messages of TypeErrors that say what to write."""
    found, refusals = [], []
    for arguments in calls(x):
        try:
            found.append(described(function(*arguments)))
        except TypeError as error:
            found.append(None)
            refusals += [str(error)] if "write " in str(error) else []
        except Exception:
            found.append(None)
    return found, refusals


def dispatches(function: Any) -> bool:
    """Whether NumPy asks the operands before it computes."""
    return isinstance(function, np.ufunc) or hasattr(function, "_implementation")


@pytest.mark.filterwarnings("ignore")
class TestFunctionsWithoutAnOp:
    """A result that depends on the values would have lost the gradient: it is compared for different values."""

    @pytest.mark.parametrize("name", [name for name in CALLABLES if name not in READ_NUMBERS])
    def test_refused_with_a_gradient(self, name: str) -> None:
        function = getattr(np, name)
        results = []
        for values in ([0.5, 2.5, 1.5], [1.75, 0.25, 3.5]):
            x = cr.tensor(np.array(values), requires_grad=True)
            found, refusals = outcomes(function, x)
            results.append(found)
            if dispatches(function):
                assert any(message.startswith(f"np.{function.__name__}: ") for message in refusals)
        assert results[0] == results[1], f"np.{name} read the values"

    @pytest.mark.parametrize("name", CALLABLES)
    def test_refused_in_transformations_and_compiled_functions(self, name: str) -> None:
        results: list[Any] = []

        def f(x: Any) -> Any:
            results.append(outcomes(getattr(np, name), x)[0])
            return cr.sum(x * x)

        for values in ([0.5, 2.5, 1.5], [1.75, 0.25, 3.5], 0.5, 1.75):
            x = np.array(values)
            cr.grad(f)(x)
            cr.jvp(f, (x,), (x,))
            cr.compile(f)(x)
        assert results[:3] == results[3:6], f"np.{name} read the values"
        assert results[6:9] == results[9:], f"np.{name} read the value"

    @pytest.mark.parametrize("name", ["nancumsum", "nanstd", "nanprod", "unique", "fft.fft", "nanmax"])
    def test_arrays_without_a_gradient(self, name: str) -> None:
        function: Any = np
        for part in name.split("."):
            function = getattr(function, part)
        values = np.array([0.5, 2.5, 1.5])
        parameter = cr.nn.Parameter(values)
        with cr.no_grad():
            results = [function(parameter)]
        for x in (cr.tensor(values), parameter.detach(), cr.tensor([1, 2]), cr.tensor([True])):
            results.append(function(x))
            assert not isinstance(results[-1], cr.Tensor)
        assert np.array_equal(results[0], function(values))
        assert np.array_equal(results[2], function(values))
        with pytest.raises(TypeError, match=rf"^np\.{name}: .*gradient would be lost; write "):
            function(parameter)
        with pytest.raises(cr.CompileError, match=rf"is not known while .* \(np\.{name}: .*write "):
            cr.compile(function)(values)


class TestArgumentsOfOtherKinds:
    """Options that ops lack, and methods of ufuncs: right or refused, never without the gradient."""

    X = np.array([[0.5, 2.5, 1.5], [3.5, 0.25, 1.0]])

    @pytest.mark.parametrize(
        "call",
        [
            lambda x: np.add(x, x, out=np.empty((2, 3))), lambda x: np.exp(x, out=np.empty((2, 3))),
            lambda x: np.add(x, x, out=np.ones((2, 3)), where=np.eye(2, 3) > 0), lambda x: np.exp(x, dtype=np.float64),
            lambda x: np.add(x, x, casting="unsafe"), lambda x: np.sum(x, dtype=np.float64),
            lambda x: np.sum(x, where=np.ones((2, 3), bool)), lambda x: np.sum(x, initial=2.0),
            lambda x: np.sum(x, 0, None, np.empty(3)), lambda x: np.mean(x, out=np.empty(())),
            lambda x: np.max(x, initial=0.0), lambda x: np.add.accumulate(x), lambda x: np.add.outer(x, x),
            lambda x: np.add.reduceat(x, [0]), lambda x: np.subtract.reduce(x), lambda x: np.add.reduce(x, initial=1.0),
            lambda x: np.add.at(np.ones((2, 3)), 0, x[0]), lambda x: np.ones((2, 3)).__iadd__(x),
            lambda x: np.ones((2, 3)).__imul__(x), lambda x: np.ones((2, 3)).__ipow__(x),
            lambda x: np.copyto(np.ones((2, 3)), x), lambda x: np.ones((2, 3)).__setitem__(0, x[0]),
            lambda x: np.reshape(x, (3, 2), order="F"), lambda x: np.ravel(x, "F"), lambda x: np.where(x),
            lambda x: np.float_power(x, x), lambda x: np.nextafter(x, 0), lambda x: np.spacing(x),
            lambda x: np.take(x, [0], mode="clip"), lambda x: np.concatenate([x, x], dtype=np.float64),
            lambda x: np.heaviside(x, x), lambda x: np.full_like(x, x), lambda x: np.sum([x, x]),
        ],
    )  # fmt: skip
    def test_refused(self, call: Callable[[Any], Any]) -> None:
        with pytest.raises(TypeError, match="gradient"):
            call(cr.tensor(self.X, requires_grad=True))
        with pytest.raises(TypeError, match="gradient"):
            cr.grad(lambda x: cr.sum(x) + call(x))(self.X)
        with pytest.raises(cr.CompileError, match="not known while the function is traced"):
            cr.compile(call)(self.X)
        result, expected = call(cr.tensor(self.X)), call(self.X)
        assert not isinstance(result, cr.Tensor)
        assert np.array_equal(result, expected) if isinstance(expected, np.ndarray) else True

    def test_tensors_are_no_outputs(self) -> None:
        x, out = cr.tensor(self.X), cr.tensor(np.zeros((2, 3)))
        for call in (
            lambda: np.add(self.X, self.X, out=out), lambda: np.sum(self.X, 0, out=out[0]), lambda: np.exp(x, out),
            lambda: np.copyto(out, self.X), lambda: np.put(out, [0], 1.0), lambda: np.add.at(out, 0, 1.0),
        ):  # fmt: skip
            with pytest.raises((TypeError, ValueError)):
                call()
        assert not out.numpy().any()

    @pytest.mark.parametrize("left", [np.array([2.0, 4.0, 8.0]), np.float64(3.0), np.array(3.0), np.int64(3), True])
    def test_operators_with_an_op(self, left: Any) -> None:
        x = np.array([0.5, 2.5, 1.5])
        for call in (
            lambda a, x: a + x, lambda a, x: a - x, lambda a, x: a * x, lambda a, x: a / x, lambda a, x: x / a,
            lambda a, x: a * +x, lambda a, x: a * -x, lambda a, x: a * abs(-x), lambda a, x: a**x, lambda a, x: x**a,
            lambda a, x: x % (a + 1.2), lambda a, x: a % (x + 0.07), lambda a, x: a // (x + 0.07),
            lambda a, x: divmod(x, a + 0.1)[1],
        ):  # fmt: skip
            g = cr.grad(lambda x, call=call: cr.sum(call(left, x)))(x)
            h = 1e-6
            slopes = [(call(left, x + h * e) - call(left, x - h * e)).sum() / (2 * h) for e in np.eye(3)]
            np.testing.assert_allclose(g.numpy(), slopes, rtol=1e-7)
            assert isinstance(call(left, cr.tensor(x)), cr.Tensor)
        for call in (lambda a, x: a < x, lambda a, x: a >= x, lambda a, x: a == x, lambda a, x: a != x):
            assert call(left, cr.tensor(x)).tolist() == call(left, x).tolist()


class TestWhatErrorsSayToWrite:
    X, Y = np.array([0.75, 2.6, 1.5]), np.array([0.5, 0.7, 1.25])
    FORMULAS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {  # noqa: RUF012 (never changed)
        "std": (lambda x, y: np.std(x), lambda x, y: cr.sqrt(cr.mean(cr.square(x - cr.mean(x))))),
        "var": (lambda x, y: np.var(x), lambda x, y: cr.mean(cr.square(x - cr.mean(x)))),
        "linalg.norm": (lambda x, y: np.linalg.norm(x), lambda x, y: cr.sqrt(cr.sum(cr.square(x)))),
    }

    @pytest.mark.parametrize("name", FORMULAS)
    def test_is_the_function(self, name: str) -> None:
        function, formula = self.FORMULAS[name]
        np.testing.assert_allclose(formula(cr.tensor(self.X), cr.tensor(self.Y)).numpy(), function(self.X, self.Y))
        gradients = cr.grad(lambda x, y: cr.sum(formula(x, y)), (0, 1))(self.X, self.Y)
        for i, g in enumerate(gradients):
            for at, h in enumerate(1e-6 * np.eye(3)):
                above, below = ([a + s * h if k == i else a for k, a in enumerate((self.X, self.Y))] for s in (1, -1))
                slope = np.sum(function(*above) - function(*below)) / 2e-6
                assert math.isclose(g[at].item(), slope, rel_tol=1e-7, abs_tol=1e-8)
