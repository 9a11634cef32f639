"""Every public function has the bits of its reference on every level, with one thread and several."""

import platform
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.composed_cases import NAMES as BY_FORMULA
from cases.gradient_references import MOVES
from cases.op_cases import ALL, CASES, WITHOUT_GRADIENT, Case
from chainrule._util import arrays as _convert
from reference import REFERENCE, assert_same_bits
from reference.bits import Array
from support.variants import every_setting
from test_fp_modes import MODES, nondefault_fp_mode

DTYPES = (np.float32, np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_the_bits_of_the_reference(name: str, dtype: type[np.floating[Any]]) -> None:
    rows = [(case, inputs, case.expected(*inputs)) for case in CASES[name] for inputs in [case.inputs(dtype, seed=3)]]
    for setting in every_setting(threads=(1, 3)):
        for case, inputs, expected in rows:
            result = case.function(*inputs)
            assert_same_bits(result.numpy(), expected, f"{case}, {setting}")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets the MXCSR of x86-64")
@pytest.mark.parametrize("mode", MODES)
def test_the_mode_of_the_caller_changes_nothing(mode: str) -> None:
    """Values, gradients, numbers in Python and casts: none is computed by NumPy or Python."""

    def results(case: Case, inputs: list[Array]) -> list[Array]:
        _convert._constants.clear()  # converted numbers are cached
        tensors = [cr.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
        out = case.function(*tensors)
        if out.dtype.kind != "f":
            return [out.numpy()]
        total = cr.sum(
            cr.tensor(out.detach(), dtype=np.float64) * 0.1
            + cr.astype(out * 0.1, np.float64)
            + cr.astype(out, np.float64)
        )
        if total.requires_grad:
            total.backward()
        return [out.numpy(), total.numpy(), *(t.grad.numpy() for t in tensors if t.grad is not None)]

    for case in ALL:
        inputs = [x * x.dtype.type(1e-39) if i % 2 else x for i, x in enumerate(case.inputs(np.float32, seed=8))]
        with nondefault_fp_mode(MODES[mode]):
            found = results(case, inputs)
        for result, expected in zip(found, results(case, inputs), strict=True):
            assert_same_bits(result, expected, f"{case}, {mode}")


def of_kind(kind: str, x: Array) -> Any:
    """x as users hand it in."""
    if kind == "tensor":
        return cr.tensor(x)
    if kind == "fortran":
        return np.asarray(x, order="F")
    if kind == "reversed":
        return x[..., ::-1].copy()[..., ::-1] if x.ndim else x
    if kind == "swapped":
        return x.astype(x.dtype.newbyteorder())
    if kind == "misaligned":
        memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
        view = memory.view(x.dtype).reshape(x.shape) if x.size else x
        view[...] = x
        return view
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("kind", ["tensor", "fortran", "reversed", "swapped", "misaligned", "read-only"])
def test_every_kind_of_argument(kind: str) -> None:
    for case in ALL:
        inputs = case.inputs(np.float64, seed=5)
        expected = case.expected(*inputs)
        before = [x.copy() for x in inputs]
        arguments = [of_kind(kind, x) for x in inputs]
        assert_same_bits(case.function(*arguments).numpy(), expected, f"{case}, {kind}")
        for x, old in zip(arguments, before, strict=True):
            assert_same_bits(np.asarray(x, old.dtype), old, f"{case}: an argument was changed")


# Functions that move elements, also of integers, or whose error is another's.
LAYOUT = (*MOVES, "broadcast_to", "astype", "argsort", "one_hot", "amax", "amin", "trace", "cummax", "cummin")
# Elementwise functions, formulas and reductions take integers and bools: tests/test_integers.py.
PRODUCTS = {"matmul", "dot", "inner", "outer", "tensordot", "einsum", "cumsum", "cumprod"}  # also of integers
FLOAT_ONLY = sorted(
    set(CASES) - set(LAYOUT) - set(REFERENCE) - set(BY_FORMULA) - set(WITHOUT_GRADIENT)
    - {"sum", "mean", "max", "min", "prod", "tril", "triu", "divmod", "reciprocal", "polygamma"}
    - PRODUCTS
)  # fmt: skip


@pytest.mark.parametrize("name", FLOAT_ONLY)
@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
def test_other_dtypes_are_refused_by_name(name: str, dtype: type[np.generic]) -> None:
    case = CASES[name][0]
    inputs = [np.ones(s, dtype if d is not None else np.bool_) for s, d in zip(case.shapes, case.domains, strict=True)]
    with pytest.raises(TypeError, match=rf"^{name}: expected float32 or float64, got {np.dtype(dtype)}"):
        case.function(*map(cr.tensor, inputs))


@pytest.mark.parametrize(
    "name", sorted(n for n in {*FLOAT_ONLY, *REFERENCE, *PRODUCTS} & {*CASES} if len(CASES[n][0].shapes) > 1)
)
def test_mixed_dtypes_are_refused_with_both(name: str) -> None:
    case = CASES[name][-1]
    arrays = case.inputs(np.float32)
    arrays[-1] = arrays[-1].astype(np.float64)
    with pytest.raises(TypeError, match=rf"^{name}: expected one dtype, got float32 and float64"):
        case.function(*map(cr.tensor, arrays))


@pytest.mark.parametrize("name", ["add", "maximum", "less", "mul"])
def test_shapes_that_do_not_broadcast_are_shown(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: shapes \(2, 3\) and \(2, 4\) do not broadcast.*3 and 4"):
        getattr(cr, name)(np.ones((2, 3)), np.ones((2, 4)))


def test_scalars_take_the_dtype_of_the_tensor() -> None:
    for dtype in DTYPES:
        x = cr.tensor(np.asarray([1.5, -2.0], dtype))
        for scalar in (2, 0.3, True, np.float64(0.3), np.float32(0.3), np.int64(3), np.asarray(0.3)):
            for result in (x * scalar, scalar * x, cr.maximum(scalar, x)):
                assert result.dtype == dtype
            assert_same_bits((x * scalar).numpy(), x.numpy() * np.asarray(scalar).astype(dtype), f"{scalar!r}")


def test_constants_of_both_zeros_and_nan_are_kept_apart() -> None:
    x = np.asarray([1.0, -1.0], np.float32)
    for _ in range(2):
        for zero in (0.0, -0.0, 0):
            assert_same_bits(cr.mul(x, zero).numpy(), x * np.float32(zero), f"{zero!r}")
        assert np.isnan(cr.add(x, float("nan")).numpy()).all()


def test_where_wants_a_condition() -> None:
    with pytest.raises(TypeError, match=r"^where: the condition must be bool, got float32"):
        cr.where([1.0, 0.0], 1.0, 2.0)


class TestLosses:
    @pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy_with_logits"])
    @pytest.mark.parametrize(
        ("prediction", "target", "advice"),
        [
            ((4, 1), (4,), r"use target\.reshape\(-1, 1\)"),
            ((4,), (4, 1), r"use prediction\.reshape\(-1, 1\)"),
            ((4, 3), (1, 3), "give both one shape"),
            ((4, 3), (), "give both one shape"),
        ],
    )
    def test_shapes_are_strict(
        self, name: str, prediction: tuple[int, ...], target: tuple[int, ...], advice: str
    ) -> None:
        with pytest.raises(ValueError, match=rf"^{name}: prediction has shape .*{advice}"):
            getattr(cr, name)(np.ones(prediction), np.ones(target))

    @pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy_with_logits", "cross_entropy"])
    def test_the_reduction_is_named(self, name: str) -> None:
        arguments = (np.ones((2, 3)), np.ones(2, np.int64)) if name == "cross_entropy" else (np.ones(2), np.ones(2))
        with pytest.raises(ValueError, match=rf"^{name}: reduction must be mean, sum or none, got 'avg'"):
            getattr(cr, name)(*arguments, reduction="avg")

    @pytest.mark.parametrize("label", [3, -1, 2**40])
    def test_a_label_out_of_range_is_shown_with_its_row(self, label: int) -> None:
        with pytest.raises(ValueError, match=rf"^cross_entropy: label {label} at row 2 is out of range for 3 classes"):
            cr.cross_entropy(np.ones((4, 3)), [0, 2, label, 5])

    def test_labels_are_integers_one_for_each_row(self) -> None:
        with pytest.raises(TypeError, match=r"^cross_entropy: labels must be integers .*float64"):
            cr.cross_entropy(np.ones((2, 3)), [0.0, 1.0])
        for shape in ((3,), (2, 1), ()):
            with pytest.raises(ValueError, match=r"^cross_entropy: expected scores \(n, classes\) and labels \(n,\)"):
                cr.cross_entropy(np.ones((2, 3)), np.zeros(shape, np.int64))

    @pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, ">i4"])
    def test_labels_of_every_integer_dtype(self, dtype: Any) -> None:
        logits = np.random.default_rng(0).standard_normal((4, 3))
        labels = np.asarray([2, 0, 1, 1])
        expected = cr.cross_entropy(logits, labels).numpy()
        assert_same_bits(cr.cross_entropy(logits, labels.astype(dtype)).numpy(), expected)
        assert_same_bits(cr.cross_entropy(logits, cr.tensor(labels)).numpy(), expected)

    def test_large_scores_do_not_overflow(self) -> None:
        assert cr.cross_entropy([[1e30, -1e30]], [0]).item() == 0.0
        assert cr.binary_cross_entropy_with_logits([1e30, -1e30], [1.0, 0.0]).item() == 0.0


@pytest.mark.parametrize("case", CASES["max"] + CASES["min"] + CASES["argmax"], ids=str)
def test_ties_nan_and_zeros(case: Case) -> None:
    """Ordinary cases have no equal values; here nearly all are equal, with zeros of both signs and a few NaN."""
    (shape,) = case.shapes
    for seed in range(5):
        values = np.asarray([0.0, -0.0, 1.0, -1.0, np.nan], np.float32)
        x = np.asarray(np.random.default_rng(seed).choice(values, shape, p=[0.35, 0.35, 0.14, 0.14, 0.02]))
        assert_same_bits(case.function(x).numpy(), case.expected(x), str(case))


@pytest.mark.parametrize("name", ["max", "min", "argmax"])
def test_no_largest_of_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: no elements along axis 1 of shape \(3, 0\)"):
        getattr(cr, name)(np.ones((3, 0)), axis=1)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "argmax", "softmax", "log_softmax"])
def test_axes_are_checked(name: str) -> None:
    function = getattr(cr, name)
    with pytest.raises(ValueError, match=rf"^{name}: axis 2 is out of range for 2 dimensions"):
        function(np.ones((2, 3)), axis=2)
    with pytest.raises(TypeError, match=rf"^{name}: axis must be an integer"):
        function(np.ones((2, 3)), axis=1.0)
    assert_same_bits(function(np.ones((2, 3)), axis=np.int64(0)).numpy(), function(np.ones((2, 3)), axis=0).numpy())
    if name in ("sum", "mean", "max", "min"):
        with pytest.raises(ValueError, match=rf"^{name}: axis -1 is given twice"):
            function(np.ones((2, 3)), axis=(1, -1))
