"""Model files and checkpoints made by hand, without chainrule's writer: valid checksums, any content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr

DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "bool": "BOOL", "float16": "F16"}
Values = Mapping[str, np.ndarray]


def dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(values: Values, metadata: Mapping[str, str]) -> str:
    plain = {key: text for key, text in metadata.items() if key != "sha256"}
    shapes = {name: [str(value.dtype), list(value.shape)] for name, value in values.items()}
    found = hashlib.sha256(dumped([plain, shapes]).encode())
    for name in sorted(values):
        found.update(np.ascontiguousarray(values[name]).tobytes())
    return found.hexdigest()


def table_of(values: Values) -> dict[str, Any]:
    """The header's entries for arrays that lie one after the other in this order."""
    table, at = {}, 0
    for name, value in values.items():
        table[name] = {
            "dtype": DTYPES[str(value.dtype)],
            "shape": list(value.shape),
            "data_offsets": [at, at + value.nbytes],
        }
        at += value.nbytes
    return table


def encoded(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with this header, JSON or bytes, of this stated length, and this data."""
    text = header if isinstance(header, bytes) else dumped(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def data_of(values: Values) -> bytes:
    return b"".join(np.ascontiguousarray(value).tobytes() for value in values.values())


def file_bytes(values: Values, metadata: Mapping[str, str]) -> bytes:
    full = {**metadata, "sha256": digest(values, metadata)}
    return encoded({**table_of(values), "__metadata__": full}, data_of(values))


def model_bytes(architecture: Any, values: Values, **metadata: str) -> bytes:
    text = architecture if isinstance(architecture, str) else dumped(architecture)
    full = {"format": "chainrule", "format_version": "1", "numerics_version": str(cr.numerics_version)}
    return file_bytes(values, full | {"architecture": text} | metadata)


def checkpoint_bytes(state: Any, values: Values, **metadata: str) -> bytes:
    text = state if isinstance(state, str) else dumped(state)
    full = {"format": "chainrule checkpoint", "format_version": "1", "numerics_version": str(cr.numerics_version)}
    return file_bytes(values, full | {"state": text} | metadata)


def forged(path: Path, architecture: Any, values: Values, **metadata: str) -> Path:
    """A model file with a valid checksum and this content."""
    path.write_bytes(model_bytes(architecture, values, **metadata))
    return path
