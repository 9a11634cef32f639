"""Methods of modules that change all tensors inside: dtype, gradients, any function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from .. import _core
from .._tensor import Tensor
from .._util.arrays import aligned_full, cast_array, values_of
from .._util.dtypes import FLOATS, INT64, Array
from .._util.mode import grad_mode
from .._util.tensor_methods import no_device, target_dtype
from ..autodiff._inputs import HasParameters
from ..autodiff._sweeps import check_overwrite

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Conversions", "in_dtype", "state_values"]


class Conversions(HasParameters):
    """Base of Module."""

    _transposed_in_pytorch: ClassVar[bool] = False  # its matrices, (in, out), are (out, in) there

    if TYPE_CHECKING:

        def children(self) -> Iterator[Conversions]:
            """The modules directly inside."""

        def modules(self) -> Iterator[Conversions]:
            """This module and all inside."""

        def parameters(self) -> Iterator[Tensor]:
            """All parameters, each once."""

        def _members(self) -> Iterator[tuple[str, Any]]:
            """Its own tensors and modules."""

    def to(self, *args: Any, dtype: npt.DTypeLike | None = None, device: Any = None) -> Self:
        """Convert all parameters and buffers of a float dtype to another one, in place; return self.

        `model.to("float64")`, `model.to(cr.float64)` and `model.to(x)` for a tensor x change the dtype;
        `model.to("cpu")` does nothing. Each value is rounded once, gradients are converted, too. Layers that learn
        from data before training (`Standardize` and others) compute in float64 and change the dtype of their results.

        The parameters remain the same objects. An optimizer without states (SGD without momentum) goes on with them;
        for others, make the optimizer after the conversion: a step with states of the earlier dtype is an error.

        Errors: TypeError for a dtype other than float32 and float64; ValueError for a device other than the CPU;
        `cr.CompileError` inside a compiled function.

        >>> import chainrule as cr
        >>> model = cr.nn.Sequential(cr.nn.Linear(3, 2), cr.nn.ReLU()).to("float64")
        >>> model[0].weight.dtype
        dtype('float64')
        """
        target = target_dtype(args, dtype, device)
        if target is None:
            return self
        kind = np.dtype(target)
        if kind not in FLOATS:
            raise TypeError(f"to: the dtype of a model must be float32 or float64, got {kind}")
        grad_mode.executor.forbid("to: the dtype of a model is changed inside a compiled function; change it outside")
        modules = list(self.modules())
        tensors = [member for module in modules for _, member in module._members() if isinstance(member, Tensor)]
        for tensor in tensors:
            check_overwrite("to", tensor, None)
        with _core.writing(tensor._data for tensor in tensors):
            for module in modules:
                module._set_dtype(np.dtype(kind.type))
        return self

    def _set_dtype(self, kind: np.dtype[Any]) -> None:
        """Convert the tensors of this module without those inside."""
        for _, member in self._members():
            if isinstance(member, Tensor) and member.dtype in FLOATS and member.dtype != kind:
                member._data = aligned_full(member.shape, kind, cast_array(member._data, kind))
                if member._grad is not None:
                    member._grad = member._grad.detach().astype(kind)
                member._bump()
        if "dtype" in vars(self):
            vars(self)["dtype"] = kind

    def double(self) -> Self:
        """Convert all parameters and buffers to float64; see `to`."""
        return self.to(np.float64)

    def float(self) -> Self:
        """Convert all parameters and buffers to float32; see `to`."""
        return self.to(np.float32)

    def cpu(self) -> Self:
        """Return the module itself: it is on the CPU."""
        return self

    def cuda(self, *args: Any) -> NoReturn:
        """Raise ValueError: there is no other device than the CPU."""
        raise no_device("cuda")

    def apply(self, function: Callable[[Any], Any]) -> Self:
        """Call `function(module)` for all modules inside, then for this one; return self.

        >>> import chainrule as cr
        >>> def init(module):
        ...     if isinstance(module, cr.nn.Linear):
        ...         cr.nn.init.ones_(module.weight)
        >>> cr.nn.Sequential(cr.nn.Linear(2, 1), cr.nn.ReLU()).apply(init)[0].weight.tolist()
        [[1.0], [1.0]]
        """
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` of all parameters, False to freeze them; return self.

        >>> import chainrule as cr
        >>> [p.requires_grad for p in cr.nn.Linear(2, 1).requires_grad_(False).parameters()]
        [False, False]
        """
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None.

        >>> import chainrule as cr
        >>> layer = cr.nn.Linear(1, 1)
        >>> cr.sum(layer([[2.0]])).backward()
        >>> layer.weight.grad.item()
        2.0
        >>> layer.zero_grad()
        >>> layer.weight.grad is None
        True
        """
        for parameter in self.parameters():
            parameter.grad = None


def state_values(module: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a state: a tensor stays one, so that `copy_` sees its graph; PyTorch's get the layout of here."""
    transposed = {name for name, owner in module.named_modules() if owner._transposed_in_pytorch}
    values = {}
    for name, given in state.items():
        value = given if isinstance(given, Tensor) else values_of(given, f"load_state_dict: {name}")
        from_pytorch = type(given).__module__.partition(".")[0] == "torch"
        if from_pytorch and value.ndim == 2 and name.rpartition(".")[0] in transposed:
            value = value.T
        values[name] = value
    return values


def in_dtype(value: Any, dtype: np.dtype[Any], name: str) -> Any:
    """A value of a state in the dtype of the tensor of this name: arrays are rounded to it, tensors must have it."""
    if value.dtype == dtype:
        return value
    kinds = "fiub" if dtype in FLOATS else "iu" if dtype == INT64 else ""
    given = value.dtype
    if isinstance(value, Tensor) or given.kind not in kinds or given.itemsize > 8 or given == np.uint64:
        advice = "; convert with astype()" if isinstance(value, Tensor) else ""
        raise TypeError(f"load_state_dict: {name} is {dtype}, the value {value.dtype}{advice}")
    converted: Array = cast_array(value, dtype)
    if value.dtype.kind == "f" and value.dtype.itemsize > dtype.itemsize:
        beyond = np.isinf(converted) & np.isfinite(value)
        if beyond.any():
            largest = value.flat[int(np.argmax(beyond))]
            raise ValueError(f"load_state_dict: {name} is {dtype}, which does not reach to the value {largest}")
    return converted
