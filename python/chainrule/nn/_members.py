"""Members of modules by name: adding and finding modules and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

__all__ = ["Members"]


class Members:
    """Base of Module: members by name, in PyTorch's words."""

    if TYPE_CHECKING:

        def _members(self) -> Iterator[tuple[str, Any]]: ...

        def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Any]]: ...

        def config(self) -> dict[str, Any]: ...

    def buffers(self) -> Iterator[Any]:
        """Yield all buffers, each object once.

        >>> import chainrule as cr
        >>> [buffer.shape for buffer in cr.nn.Standardize(2).buffers()]
        [(2,), (2,)]
        """
        return (buffer for _, buffer in self.named_buffers())

    def add_module(self, name: str, module: Any) -> None:
        """Make `self.name` this module (None: no module); the same as `self.name = module`.

        Errors: TypeError for anything else; ValueError for a name that is no string, has a dot, or is taken.

        >>> import chainrule as cr
        >>> model = cr.nn.Module()
        >>> model.add_module("out", cr.nn.Linear(2, 1))
        >>> [name for name, _ in model.named_parameters()]
        ['out.weight', 'out.bias']
        """
        if module is not None and not isinstance(module, Members):
            raise TypeError(f"add_module: {name} must be a Module, got {type(module).__name__}")
        self._set_member("add_module", name, module)

    def register_module(self, name: str, module: Any) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def register_parameter(self, name: str, param: Any) -> None:
        """Make `self.name` this parameter (None: no parameter); the same as `self.name = param`.

        Errors: TypeError for anything else; ValueError for a name that is no string, has a dot, or is taken.

        >>> import chainrule as cr
        >>> layer = cr.nn.Module()
        >>> layer.register_parameter("scale", cr.nn.Parameter([1.0, 2.0]))
        >>> layer.get_parameter("scale").tolist()
        [1.0, 2.0]
        """
        if param is not None and not getattr(param, "_learned", False):
            raise TypeError(
                f"register_parameter: {name} must be a Parameter, got {type(param).__name__}; write nn.Parameter(x)"
            )
        self._set_member("register_parameter", name, param)

    def _set_member(self, what: str, name: str, member: Any) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{what}: {name!r} is not the name of an attribute")
        if hasattr(self, name) and name not in dict(self._members()) and vars(self).get(name, member) is not None:
            raise ValueError(f"{what}: {name!r} is an attribute of the module")
        setattr(self, name, member)
        if member is not None and name not in dict(self._members()):  # those of a container are what it contains
            delattr(self, name)
            raise TypeError(f"{what}: the members of {type(self).__name__} are what it contains; add {name!r} outside")

    def get_submodule(self, target: str) -> Any:
        """The module of this name, `named_modules`; itself for "".

        Errors: AttributeError for a name that no module inside has.

        >>> import chainrule as cr
        >>> cr.nn.Sequential(cr.nn.Sequential(cr.nn.ReLU())).get_submodule("0.0")
        ReLU()
        """
        found: Any = self._member(target) if target else self
        if not isinstance(found, Members):
            raise AttributeError(f"get_submodule: {type(self).__name__} has no module {target!r}")
        module: Any = found
        return module

    def get_parameter(self, target: str) -> Any:
        """The parameter of this name, as in `named_parameters`.

        Errors: AttributeError for a name that no parameter has.

        >>> import chainrule as cr
        >>> cr.nn.Sequential(cr.nn.Linear(2, 3)).get_parameter("0.bias").shape
        (3,)
        """
        found = self._member(target)
        if not getattr(found, "_learned", False):
            raise AttributeError(f"get_parameter: {type(self).__name__} has no parameter {target!r}")
        return found

    def get_buffer(self, target: str) -> Any:
        """The buffer of this name, as in `named_buffers`.

        Errors: AttributeError for a name that no buffer has.

        >>> import chainrule as cr
        >>> cr.nn.Sequential(cr.nn.Standardize(2)).get_buffer("0.mean").shape
        (2,)
        """
        found = self._member(target)
        if found is None or isinstance(found, Members) or found._learned:
            raise AttributeError(f"get_buffer: {type(self).__name__} has no buffer {target!r}")
        return found

    def _member(self, target: str) -> Any:
        """The member of this name, here or in a module inside; None for no member."""
        for name, member in self._members():
            if name == target:
                return member
            if isinstance(member, Members) and target.startswith(f"{name}."):
                found = member._member(target[len(name) + 1 :])
                if found is not None:
                    return found
        return None

    def extra_repr(self) -> str:
        """What `repr` says about the module itself, by default its `config`; for subclasses to override.

        >>> import chainrule as cr
        >>> cr.nn.LeakyReLU(0.5).extra_repr()
        'negative_slope=0.5'
        """
        return ", ".join(f"{key}={value!r}" for key, value in self.config().items())
