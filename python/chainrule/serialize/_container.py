"""The safetensors format: 8 bytes with the length of a JSON header, the header, the bytes of the arrays.

The reader is strict, and judges each part before it reads or allocates the next: the length, the header against the
limits below, the arrays' sizes against the file's. So the time for a bad file is that of its header, and a good one
takes the memory of its arrays. What `write` accepts, `read` accepts.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from .._util.arrays import aligned_empty
from .._util.dtypes import BOOL, FLOAT32, FLOAT64, INT64
from .._util.files import buffered, write_atomic

__all__ = ["Arrays", "ModelFormatError", "dump", "judged", "parse_json", "read", "write"]

MAX_HEADER = 1 << 24  # bytes
MAX_ARRAYS = 1 << 16
_MAX_NESTING = 256  # brackets in JSON: far from what the parser's recursion can hold on a small stack
_MAX_CONTAINERS, _MAX_COMMAS = 1 << 18, 1 << 19  # a list takes 60 bytes of memory for two of text
_MAX_DIGITS = 400  # of a number: to parse an integer takes quadratic time
_MAX_QUOTES = 1 << 20
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_MAX_MESSAGE = 300  # characters
_METADATA = "__metadata__"  # the format's reserved name
_DTYPES = {"F32": FLOAT32, "F64": FLOAT64, "I64": INT64, "BOOL": BOOL}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_NAMES = {dtype: str(dtype) for dtype in _DTYPES.values()}
# As the safetensors library lays arrays out: wide dtypes first, so that all are aligned; then by name.
_ORDER: dict[Any, int] = {dtype: i for i, dtype in enumerate((INT64, FLOAT64, FLOAT32, BOOL))}
_CHUNK = 1 << 24  # bytes that are read at a time
_BLOCK = 1 << 20  # characters of a header that are looked at at a time
_ALIGN_FROM = 1 << 12  # bytes; smaller arrays do not repay aligned allocation

Arrays = dict[str, npt.NDArray[Any]]


class ModelFormatError(ValueError):
    """Raised for a file that is not a complete chainrule model; the message is one line and names the file."""

    __module__ = "chainrule"


class _Entry(NamedTuple):
    """An array in a header: where its bytes lie among those of all arrays."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def dump(value: Any) -> str:
    """Return JSON in one spelling, with sorted keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@contextmanager
def judged(name: str) -> Iterator[None]:
    """Turn what a file's content makes fail into a ModelFormatError of one line; OSError and MemoryError pass."""
    try:
        yield
    except (OSError, MemoryError, ModelFormatError):
        raise
    except Exception as error:
        text = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        reason = " ".join(text.split()) or type(error).__name__
        if len(reason) > _MAX_MESSAGE:
            reason = f"{reason[:_MAX_MESSAGE]} ..."
        raise ModelFormatError(f"{name}: {reason}") from None


# Writing.


def write(
    where: str, path: str | os.PathLike[str], values: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write arrays and metadata with a checksum of both; equal content gives equal files.

    Errors: TypeError for other dtypes, ValueError for what `read` would refuse; `where` begins both. OSError.
    """
    table: dict[str, Any] = {}
    arrays: Arrays = {}
    at = 0
    for name in sorted(values, key=lambda name: (_ORDER.get(values[name].dtype, 0), name)):
        dtype = values[name].dtype
        if dtype not in _ORDER:
            raise TypeError(f"{where}: {name} is {dtype}, expected one of {', '.join(map(str, _CODES))}")
        array = arrays[name] = np.asarray(values[name], order="C")
        table[name] = {"dtype": _CODES[dtype], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    try:
        if _METADATA in table:
            raise ValueError(f"the name {_METADATA} is reserved by the file format; rename the value")
        full = {**metadata, "sha256": _digest(_entries(table), arrays, metadata)}
        header = dump({**table, _METADATA: full}).encode()
        header += b" " * (-len(header) % 8)
        _parse_header(header)
        for text in metadata.values():
            _check_json(text.encode())
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    write_atomic(path, [len(header).to_bytes(8, "little"), header, *(_bytes(array) for array in arrays.values())])


def _bytes(array: npt.NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data  # all supported machines are little-endian, as the format is


def _digest(entries: list[_Entry], values: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> str:
    """SHA-256 over names, dtypes, shapes, metadata and values."""
    plain = {key: text for key, text in metadata.items() if key != "sha256"}
    shapes = {entry.name: [_NAMES[entry.dtype], list(entry.shape)] for entry in entries}
    text = dump([plain, shapes]).encode()
    try:
        digest = hashlib.sha256(text)
        for name in sorted(values):
            digest.update(_bytes(values[name]))
        return digest.hexdigest()
    except ValueError as error:  # how OpenSSL reports that there is no memory
        raise MemoryError(str(error)) from None


# Reading.


def read(name: str, check: Callable[[dict[str, str]], None]) -> tuple[Arrays, dict[str, str]]:
    """Read the arrays and metadata of a file.

    Arguments: `name`, its path; `check`, called with the metadata before anything else is judged; raises ValueError.
    Errors: ModelFormatError; OSError when the file cannot be read; MemoryError.
    """
    with open(name, "rb", buffering=0) as raw, buffered(raw) as file, judged(name):
        length = int.from_bytes(_read_bytes(file, 8), "little")
        if not 2 <= length <= MAX_HEADER:
            raise ValueError(f"not a safetensors file (a header of {length} bytes, expected 2 to {MAX_HEADER})")
        table, metadata = _parse_header(_read_bytes(file, length))
        check(metadata)
        entries = _entries(table)
        expected = 8 + length + (entries[-1].end if entries else 0)
        state = os.fstat(file.fileno())
        if stat.S_ISREG(state.st_mode) and state.st_size != expected:
            sizes = f"the file has {state.st_size} bytes, its header describes {expected}"
            what = "not a safetensors file (truncated: {})" if state.st_size < expected else "damaged: {}"
            raise ValueError(what.format(sizes))
        values = {entry.name: _read_array(file, entry) for entry in entries}
        if file.read(1):
            raise ValueError("damaged: there are bytes after the last array")
        if metadata.get("sha256") != _digest(entries, values, metadata):
            raise ValueError("damaged: the checksum does not match the content")
    return values, metadata


def _read_bytes(file: BinaryIO, n: int) -> bytes:
    data = bytearray()
    while len(data) < n:
        chunk = file.read(min(n - len(data), _CHUNK))
        if not chunk:
            raise ValueError("not a safetensors file (truncated or of another format)")
        data += chunk
    return bytes(data)


def _read_array(file: BinaryIO, entry: _Entry) -> npt.NDArray[Any]:
    align = entry.end - entry.begin >= _ALIGN_FROM
    array = aligned_empty(entry.shape, entry.dtype) if align else np.empty(entry.shape, entry.dtype)
    rest = _bytes(array)
    while len(rest):
        n = file.readinto(rest[:_CHUNK])  # type: ignore[attr-defined]
        if not n:
            raise ValueError("damaged: the file ends within an array")
        rest = rest[n:]
    if entry.dtype == BOOL and (array.view(np.uint8) > 1).any():
        raise ValueError(f"{entry.name} has a byte other than 0 and 1, expected bools")
    return array


def _parse_header(header: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The table of arrays, not yet judged, and the metadata of a header within the limits."""
    if len(header) > MAX_HEADER:
        raise ValueError(f"names and metadata take {len(header)} bytes, at most {MAX_HEADER} are allowed")
    if not header.startswith(b"{"):
        raise ValueError("not a safetensors file (the header is not a JSON object)")
    table = parse_json(header.decode())
    metadata = table.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError(f"{_METADATA} must map names to strings")
    if len(table) > MAX_ARRAYS:
        raise ValueError(f"{len(table)} arrays, at most {MAX_ARRAYS} are allowed")
    return table, metadata


def _entries(table: dict[str, Any]) -> list[_Entry]:
    """The arrays in the order of their bytes, which must follow each other without gaps."""
    entries = sorted((_entry(name, fields) for name, fields in table.items()), key=lambda entry: entry[3:])
    at = 0
    for entry in entries:
        if entry.begin != at:
            raise ValueError(f"{entry.name} begins at byte {entry.begin}, expected {at}")
        at = entry.end
    return entries


def _entry(name: str, fields: Any) -> _Entry:
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} must have dtype, shape and data_offsets")
    code, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise ValueError(f"{name} has values of an unsupported dtype ({code!r})")
    if not _are_sizes(shape) or len(shape) > 32 or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{name} has an invalid shape or invalid offsets")
    size = _DTYPES[code].itemsize
    for length in shape:
        size *= length  # Python's integers do not overflow
    if size != offsets[1] - offsets[0] or (0 in shape and max(shape) >= 2**31):
        raise ValueError(f"{name} of shape {shape} does not take {offsets[1] - offsets[0]} bytes")
    return _Entry(name, _DTYPES[code], tuple(shape), offsets[0], offsets[1])


def _are_sizes(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n < 2**63 for n in numbers)


# JSON.


def parse_json(text: str) -> Any:
    """Parse JSON of limited size and depth; ValueError for anything else and for names that occur twice."""
    _check_json(text.encode())
    return json.loads(text, object_pairs_hook=_distinct, parse_int=_integer, parse_float=_number)


def _check_json(text: bytes) -> None:
    """Count brackets and commas outside of strings before a recursive parser makes objects of them."""
    plain = text.replace(rb"\\", b"").replace(rb"\"", b"")
    if plain.count(b'"') > _MAX_QUOTES:
        raise ValueError(f"more than {_MAX_QUOTES // 2} strings")
    outside = _outside_of_strings(plain)
    brackets = outside.translate(None, _NO_BRACKETS)
    opening = brackets.count(b"[") + brackets.count(b"{")
    if opening > _MAX_CONTAINERS or outside.count(b",") > _MAX_COMMAS:
        raise ValueError(f"more than {_MAX_CONTAINERS} lists and objects, or {_MAX_COMMAS} values")
    if len(brackets) > 2 * opening:
        raise ValueError("not JSON: a bracket is closed that is not open")
    if max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0) > _MAX_NESTING:
        raise ValueError(f"nested deeper than {_MAX_NESTING} brackets")


def _outside_of_strings(plain: bytes) -> bytes:
    """What is not between quotes. A list of the parts would take ten times the memory of the text."""
    parts, inside = [], False
    for at in range(0, len(plain), _BLOCK):
        text = np.frombuffer(plain[at : at + _BLOCK], np.uint8)
        quotes = text == ord('"')
        within = np.logical_xor.accumulate(quotes) ^ inside
        inside = bool(within[-1])
        parts.append(text[~(within | quotes)].tobytes())
    return b"".join(parts)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _number(text: str) -> float:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters")
    return float(text)
