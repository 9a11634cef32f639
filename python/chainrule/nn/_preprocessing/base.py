"""Layers fitted to data before training: they are part of the model, saved with it, and not updated by optimizers.

A layer is fitted to its input rows, either by `layer.fit(X)`, or by `fit_preprocessing(model, X)` for all layers of a
model; training does not fit it. To add one: `_learn` computes its buffers from a float64 table, `_map` applies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ... import ops
from ..._tensor import Tensor
from ..._util.checks import check_size
from ..._util.dtypes import FLOATS
from ..._util.mode import grad_mode
from ...autodiff._sweeps import no_grad
from ...ops._operands import one
from .._containers import Sequential
from .._evaluate import evaluating, input_dtype, to_model_input
from .._init import float_dtype
from .._module import Buffer, Module, Stored

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Preprocessing", "Standardize", "fit_preprocessing", "split_preprocessing"]

_MISSING = ("error", "mean")


class Preprocessing(Module):
    """Base of the fitted layers: features in the last axis, arithmetic in float64.

    `dtype` is that of the result; None: the input's.
    """

    _unfitted: set[int] | None = None  # during fit_preprocessing: the ids of layers that are still to be fitted

    def __init__(self, in_features: int, dtype: npt.DTypeLike | None) -> None:
        self.in_features = check_size(f"{type(self).__name__}: features", in_features)
        self.dtype = None if dtype is None else np.dtype(dtype)
        if self.dtype not in (None, *FLOATS):
            raise TypeError(f"{type(self).__name__}: dtype must be float32 or float64, got {self.dtype}")

    @property
    def fitted(self) -> bool:
        """Whether the layer is fitted, or was constructed with all its values."""
        raise NotImplementedError

    @property
    def out_features(self) -> int:
        """The number of columns of the result."""
        return self.in_features

    def _learn(self, x: Tensor) -> None:
        """Set the buffers from a float64 table of at least one row; must not set any on an error."""
        raise NotImplementedError

    def _map(self, x: Tensor) -> Tensor:
        """Apply the buffers to float64 rows."""
        raise NotImplementedError

    def _invalid(self, table: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """The mask of invalid values of a table."""
        return ~np.isfinite(table)

    def fit(self, X: npt.ArrayLike) -> Self:
        """Fit the layer to these rows and discard any earlier fit; return self.

        Arguments: `X`, finite numbers of shape (rows, features), at least one row.
        Errors: TypeError or ValueError for an invalid table; the layer is unchanged then.
        """
        name = f"{type(self).__name__}: X"
        x = to_model_input(X, np.float64, name)
        if x.ndim != 2 or x.shape[1] != self.in_features or len(x) == 0:
            raise ValueError(f"{name} must have shape (rows, {self.in_features}) with at least one row, got {x.shape}")
        invalid = np.argwhere(self._invalid(x.numpy()))
        if len(invalid):
            row, column = invalid[0]
            raise ValueError(f"{name}[{row}, {column}] is {x.numpy()[row, column]}; every value must be finite")
        with no_grad():
            self._learn(x)
        return self

    def forward(self, x: Tensor) -> Tensor:
        if self._unfitted is not None and id(self) in self._unfitted:
            self.fit(x)
            self._unfitted.remove(id(self))
            if not self._unfitted:
                raise _AllFittedError
        given = one(x)
        name = type(self).__name__
        if given.ndim == 0 or given.shape[-1] != self.in_features:
            raise ValueError(f"{name}: x must have shape (..., {self.in_features}), got {given.shape}")
        grad_mode.executor.guard(self, "fitted")
        if not self.fitted:
            raise ValueError(f"{name}: the layer is not fitted; call fit(X), or cr.nn.fit_preprocessing(model, X)")
        out = given.dtype if given.dtype.kind == "f" else np.dtype(np.float32)
        return ops.astype(self._map(ops.astype(given, np.float64)), self.dtype or out)

    def _set_dtype(self, kind: np.dtype[Any]) -> None:
        if self.dtype is not None:
            self.dtype = kind

    def _input_dtype(self) -> np.dtype[Any] | None:
        return None if self.dtype is None else np.dtype(np.float64)


class Standardize(Preprocessing):
    """Shift and scale every column to mean 0 and standard deviation 1, z = (x - mean) / std.

    Fitting: mean = sum(x) / n, std = sqrt(sum((x - mean)**2) / n) as `numpy.std`; a column whose values are all equal
    gets std 1, so that it becomes 0. Values are computed in float64 and rounded once to `dtype`.

    Arguments: `features`, the number of columns; `missing`, the treatment of NaN: "error" (in `fit`; otherwise it
    remains NaN), or "mean": excluded from fitting and mapped to 0, the mean; `dtype` of the result, that of the
    following layers.
    Input: x of shape (..., features), any float dtype. Output: the same shape.
    Errors: ValueError before it is fitted, for another number of columns, for a column without a value, or with values
    whose squares float64 cannot hold.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Standardize(2).fit([[1.0, 5.0], [3.0, 5.0]])
    >>> layer(np.array([[3.0, 5.0]])).numpy()
    array([[1., 0.]], dtype=float32)
    """

    def __init__(self, features: int, missing: str = "error", dtype: npt.DTypeLike | None = None) -> None:
        super().__init__(features, float_dtype("Standardize", dtype))
        if missing not in _MISSING:
            raise ValueError(f"Standardize: missing must be error or mean, got {missing!r}")
        self.missing = missing
        self.mean = Buffer(np.full(self.in_features, np.nan))
        self.std = Buffer(np.full(self.in_features, np.nan))

    @property
    def fitted(self) -> bool:
        return not np.isnan(self.mean._data).any()

    def _invalid(self, table: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        return np.isinf(table) if self.missing == "mean" else ~np.isfinite(table)

    def _learn(self, x: Tensor) -> None:
        known = ops.equal(x, x)
        count = ops.sum(ops.astype(known, np.float64), axis=0)
        empty = np.flatnonzero(count.numpy() == 0)
        if len(empty):
            raise ValueError(f"Standardize: column {empty[0]} has no value")
        mean = ops.div(ops.sum(ops.where(known, x, 0.0), axis=0), count)
        squares = ops.where(known, ops.square(ops.sub(x, mean)), 0.0)
        std = ops.sqrt(ops.div(ops.sum(squares, axis=0), count))
        bad = np.flatnonzero(~(np.isfinite(mean.numpy()) & np.isfinite(std.numpy())))
        if len(bad):
            raise ValueError(f"Standardize: column {bad[0]}: the values are too large")
        low, high = (np.where(known.numpy(), x.numpy(), fill) for fill in (np.inf, -np.inf))
        constant = (low.min(axis=0) == high.max(axis=0)) | (std.numpy() == 0)
        self.mean.copy_(mean)
        self.std.copy_(np.where(constant, 1.0, std.numpy()))

    def _map(self, x: Tensor) -> Tensor:
        z = ops.div(ops.sub(x, self.mean), self.std)
        return z if self.missing == "error" else ops.where(ops.equal(z, z), z, 0.0)

    def inverse(self, z: Tensor | npt.ArrayLike) -> Tensor:
        """Invert the layer: z * std + mean.

        Arguments: `z` of shape (..., features). Returns: a float64 tensor of the same shape.

        >>> import chainrule as cr
        >>> cr.nn.Standardize(1).fit([[2.0], [4.0]]).inverse([[-1.0], [1.0]]).numpy().tolist()
        [[2.0], [4.0]]
        """
        return ops.add(ops.mul(ops.astype(z, np.float64), self.std), self.mean)

    def config(self) -> dict[str, Any]:
        return {"features": self.in_features, "missing": self.missing, "dtype": str(self.dtype)}

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Standardize:
        stored("mean", (config.get("features"),))
        return cls(**config)


class _AllFittedError(Exception):
    """Raised when the last layer is fitted, because the rest of the forward pass is not needed."""


def fit_preprocessing(model: Module, X: npt.ArrayLike) -> None:
    """Fit every preprocessing layer of a model, each to its input rows as computed by the preceding layers.

    The model is evaluated on all rows in evaluation mode, up to the last such layer. `cr.fit` does not do this: call it
    before training, with the training rows only. Layers that were fitted before are fitted again.

    Arguments: `model`, a Module; `X`, numbers of shape (rows, ...).
    Errors: ValueError if the model has no such layer or its forward does not call one, and the errors of the layers;
    the model is unchanged then.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((100, 3), mean=50.0)
    >>> model = cr.nn.Sequential(cr.nn.Standardize(3), cr.nn.Linear(3, 1))
    >>> cr.nn.fit_preprocessing(model, X)
    >>> bool(np.isclose(model[0].mean.numpy(), X.mean(axis=0, dtype=np.float64)).all())
    True
    """
    layers = [module for module in model.modules() if isinstance(module, Preprocessing)]
    if not layers:
        raise ValueError("fit_preprocessing: the model has no layer that is fitted to data, such as Standardize")
    before = [(layer, dict(vars(layer)), layer.state_dict()) for layer in layers]
    unfitted = {id(layer) for layer in layers}
    x = to_model_input(X, input_dtype(model), "fit_preprocessing: X")
    try:
        for layer in layers:
            layer._unfitted = unfitted
        with evaluating(model):
            model(x)
        missed = next(type(layer).__name__ for layer in layers if id(layer) in unfitted)
        raise ValueError(f"fit_preprocessing: the model's forward does not call its {missed}")
    except _AllFittedError:
        for layer in layers:
            del layer._unfitted
    except BaseException:
        for layer, attributes, state in before:
            vars(layer).clear()
            vars(layer).update(attributes)
            layer.load_state_dict(state)
        raise


def split_preprocessing(model: Module) -> tuple[Sequential | None, Module]:
    """The preprocessing layers at the beginning of a Sequential, and the rest; (None, model) if it has none."""
    layers = list(model) if isinstance(model, Sequential) else []
    count = next((i for i, layer in enumerate(layers) if not isinstance(layer, Preprocessing)), len(layers))
    return (Sequential(*layers[:count]), Sequential(*layers[count:])) if count else (None, model)
