"""Model files: safetensors with the architecture in the metadata; no pickle, no code, no import by name.

Metadata: `format` ("chainrule"), `format_version`, `version` and `numerics_version` of the writer, `architecture`
(JSON: class names of `nn.LAYERS` with their constructor arguments, or null for a state dict), `preparation` (JSON, the
table schema of `chainrule train`) and `sha256` over all names, values and metadata. The keys of the header are sorted,
so equal models give equal files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.arrays import values_of
from .._util.files import write_atomic
from ..config import __version__, numerics_version
from ..data._schema import PREPARATION_PREFIX, Preparation, legacy_input_scaling
from ..nn import LAYERS, Module, Sequential

__all__ = ["ModelFormatError", "load", "load_prepared", "save"]

FORMAT_VERSION = 1
_MAX_HEADER = 1 << 24  # bytes of names and metadata
_DTYPES = ("float32", "float64", "int64", "bool")

Arrays = dict[str, npt.NDArray[Any]]


class ModelFormatError(ValueError):
    """Raised for a file that is not a complete chainrule model; the message is one line and names the file."""

    __module__ = "chainrule"


def save(
    model: Module | Mapping[str, npt.ArrayLike],
    path: str | os.PathLike[str],
    *,
    preparation: Preparation | None = None,
) -> None:
    """Save a model to a file, atomically.

    The file appears under its name only when it is complete and on disk; until then an existing file is unchanged. A
    symbolic link is followed and its target replaced. The mode of an existing file is preserved.

    Arguments: `model`, a Module built from the layers of `cr.nn`, or a `state_dict()` (for custom modules: load it and
    pass it to `load_state_dict`); `path`; `preparation`, the command line's schema of columns and classes.
    Errors: TypeError naming a layer class that is not from `cr.nn`; ValueError for a layer that appears twice; OSError
    when the file cannot be written.

    >>> import os, tempfile
    >>> import chainrule as cr
    >>> model = cr.nn.Sequential(cr.nn.Linear(4, 3), cr.nn.Tanh())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     cr.save(model, path)
    ...     copy = cr.load(path)
    >>> bool((copy[0].weight.numpy() == model[0].weight.numpy()).all())
    True
    """
    if isinstance(model, Module):
        _check_shared(model)
        architecture, values = _describe(model, ""), model.state_dict()
    else:
        architecture, values = None, {name: values_of(value, f"save: {name}") for name, value in model.items()}
    metadata = {
        "format": "chainrule",
        "format_version": str(FORMAT_VERSION),
        "version": __version__,
        "numerics_version": str(numerics_version),
        "architecture": _dump(architecture),
    }
    if preparation is not None:
        metadata["preparation"] = _dump(preparation.describe())
        values.update(preparation.arrays())
    for name, value in values.items():
        if str(value.dtype) not in _DTYPES:
            raise TypeError(f"save: {name} is {value.dtype}, expected one of {', '.join(_DTYPES)}")
    metadata["sha256"] = _digest(values, metadata)
    write_atomic(path, _serialize(values, metadata))


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model file.

    Arguments: `path`, a file that `save` wrote.
    Returns: the Module, or the dict of ndarrays when a `state_dict()` was saved. A UserWarning reports a file
    written with another numerics version, because results may differ in their last bits.
    Errors: `ModelFormatError` for a file that is damaged, truncated, or not a chainrule model; OSError when it cannot
    be read.

    >>> import chainrule as cr
    >>> cr.load(cr.data.__file__)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    chainrule.ModelFormatError: ...: not a safetensors file ...
    """
    return load_prepared(path)[0]


def load_prepared(path: str | os.PathLike[str]) -> tuple[Any, Preparation | None]:
    """Read a model file and the schema that `chainrule train` saved with it.

    Arguments: `path`, a file that `save` wrote.
    Returns: `(model, preparation)`; preparation is None when the file has none.
    Errors: as `load`.

    >>> from chainrule.serialize._model_files import load_prepared
    >>> load_prepared("there/is/nothing/here")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'there/is/nothing/here'
    """
    name = os.fspath(path)
    with open(name, "rb") as file:
        content = file.read()
    try:
        values, metadata = _deserialize(content)
        _check_metadata(values, metadata)
        _warn_numerics(name, metadata)
        architecture = json.loads(metadata["architecture"])
        preparation, scaling = None, None
        if "preparation" in metadata:
            stored = {key: values.pop(key) for key in list(values) if key.startswith(PREPARATION_PREFIX)}
            preparation = Preparation.rebuild(json.loads(metadata["preparation"]), stored)
            scaling = legacy_input_scaling(preparation, stored)
        if architecture is None:
            return values, preparation
        model = _build(architecture, values, "")
        model.load_state_dict(values)
        if scaling is not None:
            model = Sequential(scaling, *(model if isinstance(model, Sequential) else (model,)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split()) if not isinstance(error, KeyError) else f"{error} is missing"
        raise ModelFormatError(f"{name}: {reason or type(error).__name__}") from None
    return model, preparation


# The architecture.


def _check_shared(model: Module) -> None:
    seen: dict[int, str] = {}
    pending = [("", model)]
    while pending:
        name, module = pending.pop()
        if id(module) in seen:
            raise ValueError(
                f"save: layers {name!r} and {seen[id(module)]!r} are the same object; save the model's state_dict()"
            )
        seen[id(module)] = name
        pending.extend((f"{name}.{child}" if name else child, inner) for child, inner in module.named_children())


def _describe(module: Module, name: str) -> dict[str, Any]:
    kind = type(module)
    if LAYERS.get(kind.__name__) is not kind:
        subject = f"layer {name!r}" if name else "the model"
        raise TypeError(f"save: {subject} is a {kind.__name__}, which is not a layer of cr.nn; save its state_dict()")
    layers = [_describe(child, f"{name}.{key}" if name else key) for key, child in module.named_children()]
    return {"class": kind.__name__, "config": module.config(), **({"layers": layers} if layers else {})}


def _build(spec: Any, values: Arrays, name: str) -> Module:
    """Rebuild a module; sizes are checked against the stored values before anything of that size is allocated."""
    if not isinstance(spec, dict) or not isinstance(spec.get("config"), dict):
        raise TypeError(f"architecture: {name or 'the model'} has no class and config")
    kind, config = spec.get("class"), spec["config"]
    layer = LAYERS.get(kind) if isinstance(kind, str) else None
    if layer is None:
        raise ValueError(f"architecture: unknown layer class {kind!r}")
    prefix = f"{name}." if name else ""
    if layer is Sequential:
        return Sequential(*(_build(inner, values, f"{prefix}{i}") for i, inner in enumerate(spec.get("layers", []))))

    def stored(key: str, shape: tuple[Any, ...] | None) -> npt.NDArray[Any]:
        value = values.get(prefix + key)
        if value is None or (shape is not None and value.shape != shape):
            found = "is missing" if value is None else f"has shape {value.shape}"
            expected = "" if shape is None else f", expected shape {shape}"
            raise ValueError(f"architecture: {prefix}{key} {found}{expected}")
        return value

    return layer._rebuild(config, stored)


# The file.


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(values: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> str:
    import hashlib

    digest = hashlib.sha256()
    plain = {key: text for key, text in metadata.items() if key != "sha256"}
    shapes = {name: [str(values[name].dtype), list(values[name].shape)] for name in values}
    digest.update(_dump([plain, shapes]).encode())
    for name in sorted(values):
        value = np.asarray(values[name], order="C")
        digest.update(value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _serialize(values: Arrays, metadata: dict[str, str]) -> bytes:
    from safetensors.numpy import save as to_bytes

    content = to_bytes({name: np.asarray(value, order="C") for name, value in values.items()}, metadata=metadata)
    length = int.from_bytes(content[:8], "little")
    header = _dump(json.loads(content[8 : 8 + length])).encode()  # the library writes the keys in random order
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _deserialize(content: bytes) -> tuple[Arrays, dict[str, str]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_MAX_HEADER, len(content) - 8):
        raise ValueError("not a safetensors file (truncated or of another format)")
    try:
        values = dict(from_bytes(content))
    except SafetensorError as error:
        raise ValueError(f"not a safetensors file ({error})") from None
    except (KeyError, AttributeError, TypeError) as error:  # a dtype that NumPy does not have
        raise ValueError(f"values of an unsupported dtype ({error})") from None
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return values, metadata


def _warn_numerics(name: str, metadata: dict[str, str]) -> None:
    written = metadata.get("numerics_version")
    if written != str(numerics_version):
        import warnings

        text = f"{name}: numerics version {written}, expected {numerics_version}: results may differ in their last bits"
        warnings.warn(text, UserWarning, stacklevel=4)


def _check_metadata(values: Arrays, metadata: dict[str, str]) -> None:
    if metadata.get("format") != "chainrule":
        raise ValueError("a safetensors file, but not a chainrule model")
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise ValueError(f"format version {metadata.get('format_version')}, expected {FORMAT_VERSION}")
    if metadata.get("sha256") != _digest(values, metadata):
        raise ValueError("damaged: the checksum does not match the content")
