"""PyTorch's names of arguments: `dim` for `axis`, `keepdim` for `keepdims`."""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = ["Dim", "Ends", "by_dim", "check_ends", "no_pair"]


class Dim(TypedDict, total=False):
    """Other names of `axis` and `keepdims`."""

    dim: Any
    keepdim: bool


class Ends(TypedDict, total=False):
    """Other names of `start_axis` and `end_axis`."""

    start_dim: int
    end_dim: int


def check_ends(name: str, names: Ends, start_axis: int, end_axis: int) -> None:
    """Raise TypeError for other names, and for an argument that is given twice."""
    unknown = [key for key in names if key not in ("start_dim", "end_dim")]
    if unknown:
        raise TypeError(f"{name}: there is no argument {unknown[0]!r}; expected start_axis, end_axis")
    if ("start_dim" in names and start_axis != 0) or ("end_dim" in names and end_axis != -1):
        raise TypeError(
            f"{name}: start_axis and start_dim, or end_axis and end_dim, are the same argument, given twice"
        )


def by_dim(name: str, names: Dim, axis: Any, keepdims: bool | None = None, default: Any = None) -> tuple[Any, Any]:
    """Axis and keepdims, given by their names or by PyTorch's; `keepdims` None: the function has no such argument.

    TypeError for other names, and for an argument that is given twice.
    """
    allowed = ("dim",) if keepdims is None else ("dim", "keepdim")
    unknown = [key for key in names if key not in allowed]
    if unknown:
        raise TypeError(
            f"{name}: there is no argument {unknown[0]!r}; expected axis{'' if keepdims is None else ', keepdims'}"
        )
    if ("dim" in names and axis is not default and axis != default) or ("keepdim" in names and keepdims):
        raise TypeError(f"{name}: axis and dim, or keepdims and keepdim, are the same argument, given twice")
    return names.get("dim", axis), names.get("keepdim", keepdims)


def no_pair(name: str, names: Dim) -> None:
    """Raise TypeError: with `dim`, PyTorch's function returns values and indices, this one values."""
    if names:
        by_dim(name, names, None, False)
        raise TypeError(
            f"{name}: with dim, PyTorch returns values and indices; write {name}(x, axis=...) for the values and "
            f"arg{name}(x, axis=...) for the indices"
        )
