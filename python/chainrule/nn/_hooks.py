"""Functions that run before and after a module's forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .._util.mode import grad_mode
from ._record_calls import call_recorder

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HOOKS", "Hooks", "RemovableHandle"]

HOOKS = "_hooks"  # the attribute that holds a module's hooks, in the order in which they run


class _Hook(NamedTuple):
    function: Callable[..., Any]
    before: bool  # runs before the forward pass
    with_kwargs: bool


class RemovableHandle:
    """What `register_forward_hook` returns: `remove()` takes the hook away, and so does the end of a `with` block."""

    def __init__(self, module: Hooks, key: int) -> None:
        self._module, self._key = module, key

    def remove(self) -> None:
        """Take the hook away; a second call has no effect."""
        _forbid("RemovableHandle.remove")
        hooks = dict(self._module._hooks or {})
        if hooks.pop(self._key, None) is None:
            return
        if hooks:
            self._module._hooks = hooks
        else:
            del self._module._hooks

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Hooks:
    """Base of Module: calls with hooks."""

    _hooks: dict[int, _Hook] | None = None

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each forward pass; what it returns, unless None, replaces the arguments.

        Arguments: `hook`, a function; `prepend`, before the other hooks; `with_kwargs`, call `hook(module, args,
        kwargs)`, which returns None or (args, kwargs).
        Returns: a handle, whose `remove()` takes the hook away. Compiled functions are traced anew, with the hook as a
        part of them.
        Errors: TypeError for a hook that cannot be called, or that returns something else; `cr.CompileError` inside a
        compiled function.

        >>> import chainrule as cr
        >>> layer = cr.nn.ReLU()
        >>> with layer.register_forward_pre_hook(lambda module, args: (-args[0],)):
        ...     layer(cr.tensor([-1.0, 2.0])).tolist()
        [1.0, 0.0]
        """
        return self._register("register_forward_pre_hook", _Hook(hook, True, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each forward pass; what it returns, unless None, replaces the output.

        Arguments: `hook`, a function; `prepend`, before the other hooks; `with_kwargs`, call `hook(module, args,
        kwargs, output)`.
        Returns: a handle, whose `remove()` takes the hook away. Compiled functions are traced anew, with the hook as a
        part of them.
        Errors: TypeError for a hook that cannot be called; `cr.CompileError` inside a compiled function.

        >>> import chainrule as cr
        >>> layer, seen = cr.nn.ReLU(), []
        >>> handle = layer.register_forward_hook(lambda module, args, output: seen.append(output.shape))
        >>> y = layer(cr.tensor([-1.0, 2.0]))
        >>> handle.remove()
        >>> seen
        [(2,)]
        """
        return self._register("register_forward_hook", _Hook(hook, False, with_kwargs), prepend)

    def _register(self, name: str, hook: _Hook, prepend: bool) -> RemovableHandle:
        if not callable(hook.function):
            raise TypeError(f"{name}: expected a function, got {type(hook.function).__name__}")
        _forbid(name)
        before = self._hooks or {}
        key = max(before, default=-1) + 1
        self._hooks = {key: hook, **before} if prepend else {**before, key: hook}
        return RemovableHandle(self, key)

    def _call_with_hooks(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        hooks = list((self._hooks or {}).values())
        for hook in hooks:
            if hook.before:
                inputs, options = self._before(hook, inputs, options)
        output = call_recorder.run(self, inputs, options)
        for hook in hooks:
            if not hook.before:
                extra = (options,) if hook.with_kwargs else ()
                changed = hook.function(self, inputs, *extra, output)
                output = output if changed is None else changed
        return output

    def _before(
        self, hook: _Hook, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not hook.with_kwargs:
            changed = hook.function(self, inputs)
            if changed is None:
                return inputs, options
            return changed if isinstance(changed, tuple) else (changed,), options
        changed = hook.function(self, inputs, options)
        if changed is None:
            return inputs, options
        if not isinstance(changed, tuple) or len(changed) != 2 or not isinstance(changed[0], tuple):
            raise TypeError(
                f"{type(self).__name__}: a forward pre-hook with kwargs must return None or (args, kwargs), got "
                f"{type(changed).__name__}"
            )
        args, kwargs = changed
        return args, kwargs


def _forbid(name: str) -> None:
    grad_mode.executor.forbid(f"{name}: hooks are changed inside a compiled function; change them outside")
