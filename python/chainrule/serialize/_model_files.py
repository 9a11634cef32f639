"""Model files: safetensors with the architecture in the metadata; no pickle, no code, no import by name.

Metadata: `format` ("chainrule"), `format_version`, `version` and `numerics_version` of the writer, `architecture`
(JSON, see `_architecture.py`, or null for a state dict), `preparation` (JSON, the table schema of `chainrule train`),
or `kind` and `description` (JSON, what surrounds the net of a model of one of the kinds in `_model_kinds.py`), `record`
(JSON, what is known about the training) and `sha256` over all names, values and metadata. Version 1 of the format has
layers of `cr.nn` that are all used once; version 2 adds registered classes and what occurs several times. A file has
the lowest version that can describe it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from .._util.arrays import values_of
from .._util.device import check_device
from ..config import __version__, numerics_version
from ..data._schema import PREPARATION_PREFIX, Preparation, legacy_input_scaling
from ..nn import Module, Sequential
from ._architecture import build, describe, is_plain
from ._container import ModelFormatError, dump, judged, parse_json, read, write
from ._model_kinds import Described, class_of, kind_of, model_of

__all__ = ["ModelFormatError", "load", "load_prepared", "load_with_record", "save", "warn_numerics"]

FORMAT_VERSIONS = ("1", "2")


def save(
    model: Module | Mapping[str, npt.ArrayLike] | Described,
    path: str | os.PathLike[str],
    *,
    preparation: Preparation | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Save a model to a file, atomically.

    The file appears under its name only when it is complete and on disk; until then an existing file is unchanged. A
    symbolic link is followed and its target replaced; mode, owner and extended attributes of an existing file are kept
    where the system permits. Devices and pipes are written into.

    A parameter or layer that occurs several times is saved once and loaded as one object. Gradients, the training mode
    and generators are not saved; `cr.save_checkpoint` saves what training needs.

    Arguments: `model`, a Module built from the layers of `cr.nn` and classes decorated with
    `cr.nn.register_serializable`, a `cr.tabular.TabularModel` or a fitted tabular estimator, or a `state_dict()` (for
    other modules: load it and pass it to `load_state_dict`); `path`; `preparation`, the command line's schema of
    columns and classes; `record`, what is known about the training, as JSON has it.
    Errors: TypeError naming a layer of another class, or a value's dtype; ValueError for a registered class whose
    constructor does not make the same layers from `config()`, for reserved names (`__metadata__`), and for models of
    more than 16384 layers, more than 65536 values, or nested deeper than 64; OSError when the file cannot be written.
    Nothing is written then.

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
    given: Any = model_of(model)
    kind = kind_of(given)
    plain: Any = given if kind is None else given.net
    if isinstance(plain, Module):
        values = plain.state_dict()
        architecture: Any = describe(plain, values)
    else:
        architecture, values = None, {name: values_of(value, f"save: {name}") for name, value in plain.items()}
        unfit = next((name for name in values if not isinstance(name, str)), None)
        if unfit is not None:
            raise TypeError(f"save: the names of a state dict must be strings, got {unfit!r}")
    metadata = {
        "format": "chainrule",
        "format_version": FORMAT_VERSIONS[0 if architecture is None or is_plain(architecture) else 1],
        "version": __version__,
        "numerics_version": str(numerics_version),
        "architecture": dump(architecture),
    }
    if kind is not None:
        metadata |= {"kind": kind, "description": dump(given.describe())}
    if preparation is not None:
        taken = next((name for name in values if name.startswith(PREPARATION_PREFIX)), None)
        if taken is not None:
            raise ValueError(f"save: the name {taken} is reserved for the preparation; rename the value")
        metadata["preparation"] = dump(preparation.describe())
        values.update(preparation.arrays())
    if record is not None:
        metadata["record"] = dump(dict(record))
    write("save", path, values, metadata)


def load(path: str | os.PathLike[str], map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read a model file.

    Arguments: `path`, a file that `save` wrote; `map_location`, None or the CPU; `weights_only`, which has no effect,
    because no file holds code.
    Returns: the Module, the tabular model, or the dict of ndarrays when a `state_dict()` was saved. A UserWarning
    reports a file written with another numerics version, because results may differ in their last bits.
    Errors: `ModelFormatError` for a file that is damaged, truncated, or not a chainrule model; OSError when it cannot
    be read.

    >>> import chainrule as cr
    >>> cr.load(cr.data.__file__)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    chainrule.ModelFormatError: ...: not a safetensors file ...
    """
    check_device(map_location)
    return load_with_record(path, 4)[0]


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
    model, preparation, _ = load_with_record(path, 4)
    return model, preparation


def load_with_record(
    path: str | os.PathLike[str], stacklevel: int = 3
) -> tuple[Any, Preparation | None, dict[str, Any]]:
    """Read a model file with all that is known about it.

    Arguments: `path`, a file that `save` wrote; `stacklevel`, of a warning.
    Returns: `(model, preparation, record)`; the record is what `save` was given, with the file's `digest`, `version`
    and `numerics_version`.
    Errors: as `load`.

    >>> import os, tempfile
    >>> import chainrule as cr
    >>> from chainrule.serialize._model_files import load_with_record
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     cr.save(cr.nn.ReLU(), path, record={"rows": 3})
    ...     record = load_with_record(path)[2]
    >>> record["rows"], len(record["digest"])
    (3, 64)
    """
    name = os.fsdecode(path)
    values, metadata = read(name, _check_format)
    with judged(name):
        model, preparation = _rebuild(values, metadata)
        record = parse_json(metadata.get("record", "{}"))
        if not isinstance(record, dict):
            raise TypeError("record: expected an object")
    warn_numerics(name, metadata, stacklevel)
    written = {"version": metadata.get("version"), "numerics_version": metadata.get("numerics_version")}
    return model, preparation, {**record, "digest": metadata["sha256"], **written}


def _check_format(metadata: dict[str, str]) -> None:
    if metadata.get("format") != "chainrule":
        raise ValueError("a safetensors file, but not a chainrule model")
    version = metadata.get("format_version")
    if version not in FORMAT_VERSIONS:
        raise ValueError(f"format version {str(version)[:40]}, expected {' or '.join(FORMAT_VERSIONS)}")


def _rebuild(values: dict[str, npt.NDArray[Any]], metadata: dict[str, str]) -> tuple[Any, Preparation | None]:
    architecture = parse_json(metadata["architecture"])
    if "kind" in metadata:
        rebuild = class_of(metadata["kind"]).rebuild
        return rebuild(parse_json(metadata["description"]), build(architecture, values)), None
    preparation, scaling = None, None
    if "preparation" in metadata:
        stored = {key: values.pop(key) for key in list(values) if key.startswith(PREPARATION_PREFIX)}
        preparation = Preparation.rebuild(parse_json(metadata["preparation"]), stored)
        scaling = legacy_input_scaling(preparation, stored)
    if architecture is None:
        return values, preparation
    model = build(architecture, values)
    if scaling is not None:
        model = Sequential(scaling, *(model if isinstance(model, Sequential) else (model,)))
    return model, preparation


def warn_numerics(name: str, metadata: Mapping[str, str], stacklevel: int = 4) -> None:
    """Warn the caller of the public function that loads a file written with another numerics version."""
    written = metadata.get("numerics_version")
    if written != str(numerics_version):
        import warnings

        text = (
            f"{name}: numerics version {str(written)[:40]}, expected {numerics_version}: results may differ in their "
            "last bits"
        )
        warnings.warn(text, UserWarning, stacklevel=stacklevel)
