"""What leaves and enters a tensor: numbers, shared memory, and arrays with a meaning of their own."""

import contextlib
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference.bits import Array

READERS: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x.item(), "float": float, "int": int, "bool": bool, "format": lambda x: float(f"{x:.4f}"),
    "tolist": lambda x: x.tolist(), "numpy": lambda x: x.numpy().copy(), "math.exp": math.exp, "math.floor": math.floor,
    "np.float64": np.float64, "complex": lambda x: complex(x).real, "format()": lambda x: float(format(x, "e")),
    "max": lambda x: max(float(x), 0.0), "conditional": lambda x: 2.0 if x else 3.0, "not": lambda x: float(not x),
    "detour": lambda x: (x * 2.0).item(), "element": lambda x: x.reshape(1)[0].item(),
    "sum": lambda x: sum([float(x), 1.0]), "round": lambda x: round(float(x), 2), "abs": lambda x: float(abs(x)),
}  # fmt: skip
TRANSFORMATIONS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda f: cr.grad(f)(np.float64(1.5)),
    "second": lambda f: cr.grad(cr.grad(f))(np.float64(1.5)),
    "jvp": lambda f: cr.jvp(f, (np.float64(1.5),), (np.float64(1.0),)),
    "vjp": lambda f: cr.vjp(f, np.float64(1.5)),
    "hvp": lambda f: cr.hvp(f, (np.float64(1.5),), (np.float64(1.0),)),
    "hessian": lambda f: cr.hessian(f)(np.float64(1.5)),
    "jacobian": lambda f: cr.jacobian(f)(np.float64(1.5)),
    "compile": lambda f: cr.compile(f)(np.array(1.5)),
    "compiled grad": lambda f: cr.compile(cr.grad(f))(np.array(1.5)),
    "grad in compile": lambda f: cr.compile(lambda: cr.grad(f)(cr.tensor(np.float64(1.5))))(),
    "model": lambda f: cr.grad(lambda m: f(m.weight[0, 0]))(cr.nn.Linear(1, 1, dtype=np.float64)),
}  # fmt: skip


class TestNumbers:
    @pytest.mark.parametrize("reader", READERS)
    def test_free_outside(self, reader: str) -> None:
        for x in (cr.tensor(1.5), cr.tensor(1.5, requires_grad=True), cr.nn.Parameter(0.75) * 2.0):
            expected = READERS[reader](np.float32(1.5)) if reader not in ("item", "tolist", "numpy") else 1.5
            if reader not in ("detour", "element", "sum"):
                assert READERS[reader](x) == expected

    @pytest.mark.parametrize("transformation", TRANSFORMATIONS)
    @pytest.mark.parametrize("reader", READERS)
    def test_refused_inside(self, reader: str, transformation: str) -> None:
        def f(x: cr.Tensor) -> Any:
            factor = READERS[reader](x * x)
            return x * (1.0 if isinstance(factor, str) else factor)

        with pytest.raises(
            TypeError, match=r"the values depend on what is differentiated here|gradient lost|is not known while"
        ):
            TRANSFORMATIONS[transformation](f)

    @pytest.mark.parametrize("transformation", [t for t in TRANSFORMATIONS if "compile" not in t])
    def test_what_is_independent_is_free(self, transformation: str) -> None:
        parameter, plain = cr.nn.Parameter(np.float64(0.5)), cr.tensor(np.float64(0.25))

        def f(x: cr.Tensor) -> cr.Tensor:
            total = parameter.item() + float((parameter * 2.0).sum()) + plain.item() + x.detach().item() * 0.0
            if x > 100.0 or not x == x:
                raise AssertionError
            return x * x * (total + float(f"{parameter:.2f}") + int(cr.argmax(x.reshape(1))))

        TRANSFORMATIONS[transformation](f)
        assert abs(cr.grad(f)(np.float64(1.5)).item() - 3.0 * 2.25) < 1e-15

    def test_mode_is_left_after_an_error(self) -> None:
        x = cr.tensor(2.0, requires_grad=True)
        with pytest.raises(TypeError, match=r"^float: the values depend .* x.detach\(\).item\(\) for a constant$"):
            cr.grad(lambda x: x * float(x))(3.0)
        assert float(x) == 2.0
        with pytest.raises(ValueError, match=r"^float: expected one element, got shape \(2,\)"):
            float(cr.tensor([1.0, 2.0]))

    def test_text(self) -> None:
        x = cr.tensor([[1.23456]], requires_grad=True)
        assert (f"{x:.2f}", f"{x:8.3f}", f"{x}") == ("1.23", "   1.235", str(x))
        with pytest.raises(ValueError, match=r"^format: expected one element, got shape \(2,\)"):
            f"{cr.tensor([1.0, 2.0]):.2f}"
        assert round(x, 2).tolist() == cr.tensor([[1.23]]).tolist()
        assert cr.grad(lambda x: x * len(str(x)))(1.0).item() > 0  # text for people is no number

    def test_predictions_of_a_model_that_is_differentiated(self) -> None:
        model, x = cr.nn.Linear(2, 1), np.ones((3, 2), np.float32)
        other = cr.nn.Linear(2, 1)
        with pytest.raises(TypeError, match=r"^predict: .*weight is differentiated here; call model\(x\)"):
            cr.grad(lambda m: cr.sum(m(x) * m.predict(x)))(model)
        assert cr.grad(lambda m: cr.sum(m(x) * other.predict(x)))(model)["bias"].shape == (1,)
        with pytest.raises(TypeError, match=r"^predict: X: .*gradient"):
            cr.grad(lambda x: cr.sum(x * model.predict(x)[:, 0]))(x)


class TestSharedMemory:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
    @pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (2, 0, 3)])
    def test_views_stay_read_only(self, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        values = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
        x = cr.tensor(values)
        tensors = [x, x.detach(), x.reshape(-1)]
        tensors += [cr.nn.Parameter(values), cr.tensor(values, requires_grad=True)] if values.dtype.kind == "f" else []
        for t in tensors:
            views = [t.numpy(), t.numpy().T, t.numpy()[...], t.numpy().reshape(-1), np.asarray(t.detach())]
            for view in views:
                assert (view.dtype, view.size) == (values.dtype, values.size)
                assert not values.size or np.shares_memory(view, t._data)
                with pytest.raises(ValueError, match="WRITEABLE"):
                    view.flags.writeable = True
                with pytest.raises(ValueError, match="WRITEABLE"):
                    view.setflags(write=True)

    @pytest.mark.parametrize(
        "share",
        [
            lambda w: np.from_dlpack(w.detach()), lambda w: np.asarray(w.detach()), lambda w: w.numpy(),
            lambda w: np.array(w.detach()), lambda w: np.frombuffer(w.numpy()), lambda w: np.asarray(w.numpy().data),
            lambda w: np.lib.stride_tricks.as_strided(w.numpy(), (1,)), lambda w: w.detach().numpy().view(np.int64),
            lambda w: np.from_dlpack(w.reshape(1).detach()), lambda w: w.__array__() if not w.requires_grad else None,
        ],
    )  # fmt: skip
    def test_no_write_between_forward_and_backward(self, share: Callable[[cr.Tensor], Any]) -> None:
        w = cr.tensor(np.array([3.0]), requires_grad=True)
        y = cr.sum(w * w)
        shared = share(w)
        if shared is not None:
            with contextlib.suppress(ValueError):  # read-only, if it is not a copy
                shared[...] = 100
        y.backward()
        assert w.grad is not None
        assert (w.item(), w.grad.item()) == (3.0, 6.0)

    def test_dlpack(self) -> None:
        x = cr.tensor([1.0, 2.0])
        with pytest.raises(BufferError, match=r"a tensor is exported as a copy; x.numpy\(\) is a read-only view"):
            x.__dlpack__(copy=False)
        with pytest.raises(TypeError, match=r"^DLPack: .*x.detach\(\)"):
            np.from_dlpack(cr.nn.Parameter([1.0]))
        with pytest.raises(TypeError, match=r"^DLPack: "):
            cr.grad(lambda x: cr.sum(x * np.from_dlpack(x)))([1.0, 2.0])
        with pytest.raises(cr.CompileError, match="not known while"):
            cr.compile(lambda x: np.from_dlpack(x))(x)


class TestArraysOfTensors:
    """An array that NumPy or an op takes from a tensor with a graph has no gradient: an error."""

    @pytest.mark.parametrize(
        "take",
        [
            np.asarray, np.array, np.ascontiguousarray, lambda x: np.asarray([x, x]), lambda x: np.array([x[0], 1.0]),
            lambda x: np.float32(x), lambda x: np.full(2, x), lambda x: np.array(x, dtype=object), cr.tensor,
            lambda x: cr.tensor([x[0], x[1]]), lambda x: cr.tensor((x[0], 1.0)), lambda x: cr.tensor([[x[0]], [x[1]]]),
            lambda x: cr.tensor([x, [1.0, 2.0]]), lambda x: cr.nn.Parameter(x), lambda x: cr.exp([x[0], x[1]]),
            lambda x: cr.concatenate([[x[0]], [x[1]]]), lambda x: cr.add(x, [x[0], 1.0]), lambda x: [x[0], 1.0] * x,
            lambda x: x * x.numpy(), lambda x: x.numpy() * x, lambda x: cr.add(x.numpy()[::-1], x),
            lambda x: cr.stack([x, x.numpy()]), lambda x: cr.reshape(x.numpy(), (2, 1)),
            lambda x: cr.where(x > 0, x.numpy(), x),
            lambda x: np.ma.array([1.0, 2.0]) * x, lambda x: np.ma.exp(x), lambda x: np.ma.sum(x),
            lambda x: np.ma.array(x),
            lambda x: np.ones(2) @ np.ma.array(x), lambda x: np.linalg.svd(x), lambda x: np.fft.fft(x),
            lambda x: cr.mse_loss(x, [x[1], x[0]]), lambda x: cr.nn.Standardize(1).fit(x.reshape(-1, 1)),
        ],
    )  # fmt: skip
    def test_refused(self, take: Callable[[Any], Any]) -> None:
        with pytest.raises(TypeError, match="gradient"):
            take(cr.tensor([1.5, 2.5], requires_grad=True))
        with pytest.raises(TypeError, match=r"gradient|differentiated"):
            cr.grad(lambda x: cr.sum(x) + cr.sum(take(x)))([1.5, 2.5])
        with pytest.raises(cr.CompileError):
            cr.compile(take)(cr.tensor([1.5, 2.5]))

    def test_allowed_without_a_graph(self) -> None:
        parameter = cr.nn.Parameter([1.5, 2.5])
        for x in (cr.tensor([1.5, 2.5]), parameter.detach()):
            assert np.asarray([x[0], 1.0]).tolist() == [1.5, 1.0]
            assert cr.tensor([x[0], x[1]]).tolist() == cr.tensor(x).tolist() == [1.5, 2.5]
            assert (x * x.numpy()).tolist() == [2.25, 6.25]
        with cr.no_grad():
            assert np.asarray(parameter).tolist() == cr.tensor(parameter).tolist() == [1.5, 2.5]
        other = cr.tensor([0.0, 0.0]).copy_(parameter)  # values are copied on purpose
        assert other.tolist() == [1.5, 2.5]
        assert (cr.tensor([1.0, 2.0]) * parameter.numpy().copy()).tolist() == [1.5, 5.0]

    def test_saved_and_loaded_parameters(self, tmp_path: Path) -> None:
        a, b = cr.nn.Linear(2, 3), cr.nn.Linear(2, 3)
        b.load_state_dict(dict(a.named_parameters()))
        assert b.weight.tolist() == a.weight.tolist()
        cr.save(dict(a.named_parameters()), tmp_path / "file")  # type: ignore[arg-type]
        assert cr.load(tmp_path / "file")["weight"].tolist() == a.weight.tolist()


class Interface:
    """An object with nothing but the array interface."""

    def __init__(self, array: Array) -> None:
        self._array, self.__array_interface__ = array, array.__array_interface__


X, Y = np.random.default_rng(5).standard_normal((6, 3)), np.random.default_rng(6).standard_normal((6, 2))
MASKED = np.ma.masked_array(X, X > 0.5)


def fit(X: Any, y: Any, **options: Any) -> Any:
    model = cr.nn.Linear(3, 2, dtype=np.float64)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    return cr.fit(model, X, y, loss=cr.nn.MSELoss(), optimizer=optimizer, epochs=1, batch_size=2, **options)


PREDICT = cr.nn.Linear(3, 2, dtype=np.float64)
ENTRIES: dict[str, Callable[[Any], Any]] = {
    "tensor": lambda x: cr.tensor(x), "Parameter": cr.nn.Parameter, "exp": cr.exp, "add": lambda x: cr.add(X, x),
    "left": lambda x: cr.tensor(X) + x, "reshape": lambda x: cr.reshape(x, -1),
    "where": lambda x: cr.where(X > 0, x, X),
    "concatenate": lambda x: cr.concatenate([X, x]), "grad": lambda x: cr.grad(cr.sum)(x), "call": lambda x: PREDICT(x),
    "jvp": lambda x: cr.jvp(cr.exp, (X,), (x,)), "compiled": lambda x: cr.compile(cr.sum)(x),
    "predict": PREDICT.predict,
    "Predictor": lambda x: cr.Predictor(PREDICT)(x), "loss": lambda x: cr.mse_loss(X, x), "fit": lambda x: fit(x, Y),
    "target": lambda x: fit(X, x[:, :2]), "weights": lambda x: fit(X, Y, sample_weight=abs(x[:, 0])),
    "validation": lambda x: fit(X, Y, validation=(x, Y)), "Standardize": lambda x: cr.nn.Standardize(3).fit(x),
    "copy_": lambda x: cr.tensor(np.zeros((6, 3))).copy_(x), "split": lambda x: cr.data.train_test_split(x, Y),
    "stratify": lambda x: cr.data.split(X, Y, stratify=x[:, 0]), "labels": lambda x: cr.cross_entropy(X, x[:, 0] > 9),
    "linear_regression": lambda x: cr.linear_regression(x, Y[:, 0]), "infer_kind": lambda x: cr.infer_kind(x),
    "in a list": lambda x: cr.tensor([X, x]), "rows": lambda x: cr.tensor(list(x)),
    "take": lambda x: cr.take(X, x[:, 0]),
}  # fmt: skip
OPERATIONS = {"exp", "add", "left", "reshape", "where", "concatenate", "call", "jvp", "loss"}


class TestArraysWithAMeaning:
    @pytest.mark.parametrize("entry", ENTRIES)
    def test_masked_elements_are_refused(self, entry: str) -> None:
        for masked in (MASKED, np.ma.masked_invalid(np.where(X > 0.5, np.nan, X)), np.ma.masked_all((6, 3))):
            with pytest.raises((TypeError, ValueError), match=r"elements are masked|converting a masked"):
                ENTRIES[entry](masked)

    @pytest.mark.parametrize("entry", [e for e in ENTRIES if e not in ("labels", "take", "stratify")])
    def test_without_masked_elements_it_is_an_array(self, entry: str) -> None:
        ENTRIES[entry](np.ma.masked_array(X))
        ENTRIES[entry](np.ma.masked_array(X, np.zeros((6, 3), bool)))

    @pytest.mark.parametrize(
        "entry", [e for e in ENTRIES if e not in ("labels", "take", "stratify", "weights", "rows")]
    )
    def test_matrix(self, entry: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            matrix = np.matrix(X)
            if entry not in OPERATIONS:
                ENTRIES[entry](matrix)  # a table
                return
            with pytest.raises(TypeError, match=r"np.matrix, whose \* and \*\* are matrix products; pass np.asarray"):
                ENTRIES[entry](matrix)
            with pytest.raises(TypeError, match=r"np.matrix, whose"):
                matrix * cr.tensor(X)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_, np.float16, np.uint8])
    def test_the_array_interface_has_a_dtype(self, dtype: type[np.generic]) -> None:
        array = (np.arange(6).reshape(2, 3) % 2).astype(dtype)
        for given in (Interface(array), [Interface(array[0]), Interface(array[1])], [[Interface(r)] for r in array]):
            t = cr.tensor(given)
            assert t.dtype == cr.tensor(array).dtype
            assert t.reshape(2, 3).tolist() == array.tolist()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_nested_tensors_keep_their_dtype(self, dtype: type[np.generic]) -> None:
        x = cr.tensor(np.array([1.5, 2.5], dtype))
        for given in ([x, x], [[x[0], x[1]]], [[x], [x]], (x[0], x[1]), [list(x), list(x)]):
            assert cr.tensor(given).dtype == dtype

    @pytest.mark.parametrize(
        "data", [[[1.0, 2.0], [3.0]], [[1.0], 2.0], [[1], []], ([1.0], (2.0, 3.0)), [np.ones(2), np.ones(3)]], ids=repr
    )
    def test_ragged_lists(self, data: Any) -> None:
        for entry, name in ((cr.tensor, "tensor"), (cr.exp, "tensor"), (PREDICT.predict, "predict: X")):
            with pytest.raises(ValueError, match=rf"^{name}: the data is ragged"):
                entry(data)
