"""Module, the base of layers, losses and models; Parameter, updated by optimizers; Buffer, state that is not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._tensor import Tensor
from .._util.arrays import aligned_full, is_aligned
from .._util.mode import grad_mode
from ..autodiff._sweeps import check_overwrite
from ._conversions import Conversions, in_dtype, state_values
from ._hooks import HOOKS, Hooks
from ._members import Members
from ._predict_cache import PredictCache
from ._record_calls import call_recorder

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Buffer", "Module", "Parameter", "Stored"]

# stored(name, shape): the array of this name in a model file, ValueError unless it has this shape (None: any).
Stored = Callable[[str, "tuple[Any, ...] | None"], npt.NDArray[Any]]


class Parameter(Tensor):
    """A learned tensor of a module: a leaf that requires a gradient.

    Arguments: `data`, numbers of any shape, copied; float32 or float64, as in `cr.tensor`.

    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([[1.0, 2.0]])
    >>> weight.shape, weight.requires_grad
    ((1, 2), True)
    """

    __slots__ = ()

    _learned = True

    def __init__(self, data: npt.ArrayLike) -> None:
        super().__init__(data, requires_grad=True)
        if not is_aligned(self._data):
            self._data = aligned_full(self.shape, self.dtype, self._data)


class Buffer(Tensor):
    """A tensor of a module's state that optimizers do not update, for example the means of `Standardize`.

    Arguments: `data`, numbers of any shape, copied; the dtype as in `cr.tensor`.

    >>> import chainrule as cr
    >>> layer = cr.nn.Module()
    >>> layer.mean = cr.nn.Buffer([0.5, 2.0])
    >>> list(layer.state_dict()), list(layer.parameters())
    (['mean'], [])
    """

    __slots__ = ()

    def __init__(self, data: npt.ArrayLike) -> None:
        super().__init__(data)


class Module(Hooks, Conversions, Members):
    """Base of everything with parameters: assign parameters and modules to attributes and write `forward`.

    Attributes that are a `Parameter`, a `Buffer`, a `Module`, or a list, tuple or dict of these, also nested, belong
    to the module, in the order of their assignment; their names are the attributes', indices and keys, joined by dots
    (`layers.0.weight`, `heads.left.bias`). Other containers of them, whose parameters would not be found, are an error.

    >>> import chainrule as cr
    >>> class Net(cr.nn.Module):
    ...     def __init__(self):
    ...         self.hidden = cr.nn.Linear(4, 8)
    ...         self.out = cr.nn.Linear(8, 1)
    ...     def forward(self, x):
    ...         return self.out(cr.tanh(self.hidden(x)))
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    _training = True
    _predictions: PredictCache | None = None  # the programs of `predict`
    _unsaved: frozenset[str] = frozenset()  # names of buffers that are not a part of `state_dict`

    @property
    def training(self) -> bool:
        """Whether the module is in training mode (see `train` and `eval`); compiled functions trace each mode.

        While a thread trains or predicts, the modes that this requires are those of that thread only.
        """
        grad_mode.executor.guard(self, "_training_here")
        return self._training_here

    @training.setter
    def training(self, value: bool) -> None:
        grad_mode.executor.forbid("train, eval: the mode is changed inside a compiled function; change it outside")
        modes = grad_mode.modules
        if modes is None or id(self) not in modes:
            self._training = bool(value)
        else:
            modes[id(self)] = (self, bool(value))

    @property
    def _training_here(self) -> bool:
        """The mode in this thread."""
        modes = grad_mode.modules
        return self._training if modes is None else modes.get(id(self), (self, self._training))[1]

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        """Compute the output; implemented by subclasses. Call the module itself, `model(x)`, not this method."""
        raise NotImplementedError(f"{type(self).__name__}: forward is not implemented")

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        if call_recorder.calls is None and self._hooks is None:
            return self.forward(*inputs, **options)
        result: Tensor = self._call_with_hooks(inputs, options)
        return result

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, from which a model file rebuilds the layer (numbers, strings, bools)."""
        return {}

    # Members.

    def _members(self) -> Iterator[tuple[str, Module | Parameter | Buffer]]:
        for name, value in vars(self).items():
            if isinstance(value, _MEMBERS):
                yield name, value
            elif isinstance(value, _CONTAINERS) and name != HOOKS:
                yield from _members_of(f"{type(self).__name__}: {name}", name, value, ())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for the modules directly inside this one."""
        return ((name, member) for name, member in self._members() if isinstance(member, Module))

    def children(self) -> Iterator[Module]:
        """Yield the modules directly inside this one."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for this module (name `prefix`) and all inside it, parents first, each object once."""
        seen: set[int] = set()
        pending: list[tuple[str, Module]] = [(prefix, self)]
        while pending:
            name, module = pending.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            children = [(_join(name, child_name), child) for child_name, child in module.named_children()]
            pending.extend(reversed(children))

    def modules(self) -> Iterator[Module]:
        """Yield this module and all inside it, parents first, each object once.

        >>> import chainrule as cr
        >>> [type(module).__name__ for module in cr.nn.Sequential(cr.nn.ReLU()).modules()]
        ['Sequential', 'ReLU']
        """
        seen: set[int] = set()
        pending: list[Module] = [self]
        while pending:
            module = pending.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield module
                pending.extend(reversed([*module.children()]))

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield (name, parameter) for all parameters of this module and those inside it, each object once.

        >>> import chainrule as cr
        >>> [name for name, _ in cr.nn.Sequential(cr.nn.Linear(2, 2), cr.nn.Tanh()).named_parameters()]
        ['0.weight', '0.bias']
        """
        return ((name, tensor) for name, tensor in self._named_tensors(prefix) if isinstance(tensor, Parameter))

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Buffer]]:
        """Yield (name, buffer) for all buffers of this module and those inside it, each object once.

        >>> import chainrule as cr
        >>> [name for name, _ in cr.nn.Sequential(cr.nn.Standardize(2), cr.nn.Linear(2, 1)).named_buffers()]
        ['0.mean', '0.std']
        """
        return ((name, tensor) for name, tensor in self._named_tensors(prefix) if isinstance(tensor, Buffer))

    def _named_tensors(self, prefix: str = "", saved: bool = False) -> Iterator[tuple[str, Parameter | Buffer]]:
        """Yield (name, tensor) for parameters and buffers, each object once; with `saved` those of `state_dict`."""
        seen: set[int] = set()
        for module_name, module in self.named_modules(prefix):
            for name, member in module._members():
                if saved and name in module._unsaved:
                    continue
                if not isinstance(member, Module) and id(member) not in seen:
                    seen.add(id(member))
                    yield _join(module_name, name), member

    def parameters(self) -> Iterator[Parameter]:
        """Yield all parameters, each object once, for example for an optimizer.

        >>> import chainrule as cr
        >>> sum(parameter.size for parameter in cr.nn.Linear(64, 10).parameters())
        650
        """
        return (parameter for _, parameter in self.named_parameters())

    # State.

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return the values of all parameters and buffers by name.

        Returns: a dict of ndarrays, copies in their dtypes and shapes.
        Errors: none.

        >>> import chainrule as cr
        >>> {name: value.shape for name, value in cr.nn.Linear(3, 2).state_dict().items()}
        {'weight': (3, 2), 'bias': (2,)}
        """
        return {name: tensor.numpy().copy() for name, tensor in self._named_tensors(saved=True)}

    def register_buffer(self, name: str, tensor: npt.ArrayLike | Tensor | None, persistent: bool = True) -> None:
        """Make `self.name` a `Buffer` of these values (None: no buffer); the same as `self.name = cr.nn.Buffer(...)`.

        Arguments: `name`; `tensor`, numbers of any shape, copied; `persistent`, whether `state_dict` and files have it.
        Errors: ValueError for a name that is no name of an attribute, or is taken.

        >>> import chainrule as cr
        >>> layer = cr.nn.Module()
        >>> layer.register_buffer("mean", [0.5, 2.0])
        >>> layer.mean.tolist()
        [0.5, 2.0]
        """
        taken = isinstance(name, str) and hasattr(self, name) and not isinstance(vars(self).get(name), Buffer)
        if not isinstance(name, str) or not name.isidentifier() or taken:
            why = "an attribute of the module" if taken else "not the name of an attribute"
            raise ValueError(f"register_buffer: {name!r} is {why}")
        self._set_member("register_buffer", name, None if tensor is None else Buffer(tensor))
        if not persistent or name in self._unsaved:
            self._unsaved = (self._unsaved - {name}) if persistent else self._unsaved | {name}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike | Tensor], strict: bool = True) -> None:
        """Overwrite the parameters and buffers with these values; on an error, nothing changes.

        Arguments: `state`, values by name, each of its tensor's shape: arrays are rounded to its dtype, a `cr.Tensor`
        must have it; or a `state_dict` of PyTorch, whose tensors are transposed where its layers keep theirs so;
        `strict`, whether names that are missing or unknown are an error (else they are ignored).
        Errors: ValueError naming missing and unknown names, the shapes, or a number beyond float32; TypeError naming
        the dtypes; RuntimeError inside `cr.grad` and other transformations if a derivative would be lost.

        >>> import chainrule as cr
        >>> a, b = cr.nn.Linear(3, 2), cr.nn.Linear(3, 2)
        >>> b.load_state_dict(a.state_dict())
        >>> bool((a.weight.numpy() == b.weight.numpy()).all())
        True
        """
        tensors = dict(self._named_tensors(saved=True))
        missing = [name for name in tensors if name not in state]
        unknown = [name for name in state if name not in tensors]
        if strict and (missing or unknown):
            parts = [
                f"{what} {', '.join(names)}" for what, names in (("missing", missing), ("unknown", unknown)) if names
            ]
            raise ValueError(f"load_state_dict: {'; '.join(parts)}")
        values = state_values(self, {name: state[name] for name in tensors if name in state})
        for name, value in values.items():
            tensor = tensors[name]
            check_overwrite(f"load_state_dict: {name}", tensor, value)
            if value.shape != tensor.shape:
                raise ValueError(f"load_state_dict: {name} has shape {tensor.shape}, the value {value.shape}")
            values[name] = in_dtype(value, tensor.dtype, name)
        with _core.writing(tensor._data for tensor in tensors.values()):
            for name, value in values.items():
                tensors[name].copy_(value)

    def train(self, mode: bool = True) -> Self:
        """Set training mode (or evaluation mode) here and in all modules inside; return self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and in all modules inside; return self.

        >>> import chainrule as cr
        >>> cr.nn.Sequential(cr.nn.ReLU()).eval()[0].training
        False
        """
        return self.train(False)

    def predict(self, X: Any, batch_size: int = 1024) -> Any:
        """Compute the output for many rows, without gradients, in evaluation mode.

        The compiled forward pass is cached; every call checks that the model is unchanged. New weights are used;
        replaced parameters, layers or attributes cause a new compilation. The result of a row does not depend on the
        other rows or on `batch_size`, and has the bits of `model(x)`.

        A forward that cannot be compiled (it needs values in Python, changes the model, draws random numbers or mixes
        rows) runs op by op, `batch_size` rows at a time; the error of `cr.Predictor(model)` shows where values are
        needed. If `forward` calls code with a different result at every call (a clock, a file), use `model(x)` instead.

        Arguments: `X`, numbers of shape (n, ...), converted to the model's dtype (float64 if the first layers compute
        in it, such as `Standardize`; integers stay what they are if it does not take floats), or one row: a 1-D array
        of `in_features` numbers; a tuple of arrays for a model of several inputs, or a dict, by the names of the
        arguments of `forward`, of which integers and bools stay what they are; `batch_size`, at least 1: rows at a time
        if the model is not compiled.
        Returns: an ndarray (n, ...) with the model's outputs, without the row axis for a single row; a tuple or a dict
        of them if the model returns one.
        Errors: TypeError if X has values other than numbers; ValueError for batch_size < 1, or from the layers.

        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.Linear(3, 2)
        >>> layer.predict(np.zeros((2, 3)))
        array([[0., 0.],
               [0., 0.]], dtype=float32)
        >>> layer.predict([0.0, 0.0, 0.0])
        array([0., 0.], dtype=float32)
        """
        if batch_size < 1:
            raise ValueError(f"predict: batch_size must be at least 1, got {batch_size}")
        cache = self._predictions
        if cache is None:
            cache = vars(self)["_predictions"] = PredictCache()
        return cache(self, X, batch_size)

    def _dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters, float32 for none; TypeError if they differ."""
        dtypes = {parameter.dtype for parameter in self.parameters()}
        if len(dtypes) > 1:
            raise TypeError(f"{type(self).__name__}: the parameters mix {' and '.join(sorted(map(str, dtypes)))}")
        return np.dtype(dtypes.pop()) if dtypes else np.dtype(np.float32)

    def _input_dtype(self) -> np.dtype[Any] | None:
        """The dtype that the input is converted to, that of the first parameter; None to accept any float dtype."""
        return next((np.dtype(parameter.dtype) for parameter in self.parameters()), None)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Module:
        """The layer that a model file describes; subclasses check shapes of stored arrays before they allocate."""
        return cls(**config)

    def __repr__(self) -> str:
        lines = [f"  {name}: " + repr(child).replace("\n", "\n  ") for name, child in self.named_children()]
        body = "\n" + "\n".join(lines) + "\n" if lines else ""
        return f"{type(self).__name__}({self.extra_repr()}{body})"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


_MEMBERS = (Module, Parameter, Buffer)
_NAMED = (list, tuple, dict)
_CONTAINERS = (*_NAMED, set, frozenset, deque, Mapping)


def _members_of(
    what: str, name: str, container: Any, outer: tuple[Any, ...]
) -> Iterator[tuple[str, Module | Parameter | Buffer]]:
    """The members in a container, named by index or key; `what` begins errors, `outer` holds what it lies in."""
    if any(container is around for around in outer):
        return
    named, keys = isinstance(container, _NAMED), set[str]()
    for key, item in container.items() if isinstance(container, Mapping) else enumerate(container):
        if isinstance(item, _MEMBERS):
            if not named:
                raise TypeError(
                    f"{what} is a {type(container).__name__} with a {type(item).__name__}, whose parameters would not "
                    "be found; use a list or a dict"
                )
            if not isinstance(key, (int, str)) or "." in str(key):
                raise TypeError(f"{what} has the key {key!r}, expected strings without dots, or integers")
            if str(key) in keys:
                raise TypeError(
                    f"{what} has the key {key!r} as a number and as a string, whose members would have one name"
                )
            keys.add(str(key))
            yield f"{name}.{key}", item
        elif isinstance(item, _CONTAINERS):
            yield from _members_of(f"{what}[{key!r}]", f"{name}.{key}", item, (*outer, container))
