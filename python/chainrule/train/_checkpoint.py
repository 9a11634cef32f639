"""Checkpoints: the complete training state in one file, without pickle.

The format is safetensors, like a model file. Metadata: `format` ("chainrule checkpoint"), `format_version`, `version`
and `numerics_version` of the writer, `state` (JSON: the state of every part, with the names of its arrays) and
`sha256`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from ..config import __version__, numerics_version
from ..serialize._container import Arrays, dump, judged, parse_json, read, write
from ..serialize._model_files import warn_numerics

__all__ = ["Part", "load_checkpoint", "save_checkpoint"]

FORMAT, FORMAT_VERSION = "chainrule checkpoint", "1"
_LONG = 1024  # from so many numbers on, a list is stored as an array: the header of a file is limited


class Part(Protocol):
    """An object whose state a checkpoint holds: a model, optimizer, schedule, History or generator."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state: dicts, lists, numbers, strings and arrays."""

    def load_state_dict(self, state: Any) -> Any:
        """Load a state; nothing changes on an error."""


def save_checkpoint(path: str | os.PathLike[str], **parts: Part) -> None:
    """Save the state of a model, its optimizer and any other parts of training, atomically.

    Arguments: `path`; `parts`, under names of your choice: modules, optimizers, schedules, `cr.History`,
    `cr.random.Generator`, or anything with `state_dict` and `load_state_dict`.
    Errors: TypeError for a part without these methods, or a state with values other than dicts, lists, numbers,
    strings, None and arrays; OSError when the file cannot be written.

    >>> import os, tempfile
    >>> import chainrule as cr
    >>> model = cr.nn.Linear(2, 1)
    >>> optimizer = cr.optim.Adam(model.parameters(), lr=0.5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "training.safetensors")
    ...     cr.save_checkpoint(path, model=model, optimizer=optimizer)
    ...     optimizer.lr = 0.25
    ...     cr.load_checkpoint(path, model=model, optimizer=optimizer)
    >>> optimizer.lr
    0.5
    """
    arrays: Arrays = {}
    _check_parts("save_checkpoint", parts)
    state = {name: _to_json(part.state_dict(), name, arrays) for name, part in parts.items()}
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "numerics_version": str(numerics_version),
        "state": dump(state),
    }
    write("save_checkpoint", path, arrays, metadata)


def load_checkpoint(path: str | os.PathLike[str], **parts: Part) -> None:
    """Load the states of a checkpoint into a model, its optimizer and other parts; training resumes with the same bits.

    Arguments: `path`, a file that `save_checkpoint` wrote; `parts`, constructed like the saved ones, under the same
    names; parts of the file that are not given are skipped.
    Errors: `cr.ModelFormatError` for a damaged file or one that is not a checkpoint; ValueError for a part that the
    file does not contain or whose state does not match, before any part changes. Warns like `cr.load`.

    >>> import chainrule as cr
    >>> cr.load_checkpoint("there/is/nothing/here")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'there/is/nothing/here'
    """
    name = os.fsdecode(path)
    arrays, metadata = read(name, _check_format)
    with judged(name):
        encoded = parse_json(metadata["state"])
        if not isinstance(encoded, dict):
            raise ValueError("the state is no object of parts")
        state = {part: _from_json(value, arrays) for part, value in encoded.items()}
    warn_numerics(name, metadata, stacklevel=3)
    _check_parts("load_checkpoint", parts)
    unknown = [part for part in parts if part not in state]
    if unknown:
        raise ValueError(f"load_checkpoint: {name} does not contain {', '.join(unknown)}, only {', '.join(state)}")
    before = {part: parts[part].state_dict() for part in parts}
    try:
        for part in parts:
            parts[part].load_state_dict(state[part])
    except BaseException:
        for part in reversed(parts):
            parts[part].load_state_dict(before[part])
        raise


def _check_format(metadata: dict[str, str]) -> None:
    if (metadata.get("format"), metadata.get("format_version")) != (FORMAT, FORMAT_VERSION):
        raise ValueError("a safetensors file, but not a checkpoint that this version of chainrule reads")


def _check_parts(where: str, parts: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise TypeError(f"{where}: {name} is a {type(part).__name__}, which has no state_dict and load_state_dict")


def _to_json(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """Convert a state to JSON; arrays are collected in `arrays` under their path."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"save_checkpoint: {name} has a key that is not a string")
        return {"dict": {key: _to_json(item, f"{name}.{key}", arrays) for key, item in value.items()}}
    if type(value) is list and len(value) >= _LONG and all(type(item) is float for item in value):
        arrays[name] = np.array(value)
        return {"list": name}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"save_checkpoint: {name} is a {type(value).__name__}; expected numbers, strings or arrays")


def _from_json(encoded: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(encoded, list):
        return [_from_json(item, arrays) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if encoded.keys() not in ({"array"}, {"dict"}, {"list"}) or not isinstance(encoded.get("dict", {}), dict):
        raise ValueError("a value of the state is neither an array nor a dict")
    if "list" in encoded:
        return arrays[encoded["list"]].tolist()
    if "array" in encoded:
        return arrays[encoded["array"]]
    return {key: _from_json(item, arrays) for key, item in encoded["dict"].items()}
