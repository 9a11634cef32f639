"""Model files and checkpoints whose content is wrong in one way each."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from support.model_bytes import data_of, digest, dumped, encoded, file_bytes, model_bytes, table_of

W = {"w": np.array([[1.5, -2.0]], np.float32), "n": np.array([3, -4]), "b": np.array([True, False])}
META = {
    "format": "chainrule",
    "format_version": "1",
    "numerics_version": str(cr.numerics_version),
    "architecture": "null",
}
RELU: dict[str, Any] = {"class": "ReLU", "config": {}}


def sequence(layers: Any) -> dict[str, Any]:
    return {"class": "Sequential", "config": {}, "layers": layers}


def lie(change: Callable[[dict[str, Any]], Any], values: dict[str, np.ndarray] = W) -> bytes:
    """A file whose checksum is right for its content, with a change to the header."""
    header: dict[str, Any] = {**table_of(values), "__metadata__": {**META, "sha256": digest(values, META)}}
    change(header)
    return encoded(header, data_of(values))


def with_field(name: str, field: str, value: Any) -> bytes:
    return lie(lambda header: header[name].__setitem__(field, value))


GOOD = lie(lambda header: None)
LENGTHS = (0, 1, 2, 7, 2**24 - 1, 2**24, 2**24 + 1, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
NOT_SIZES: tuple[Any, ...] = (None, 3, "1", {}, [1.5], ["1"], [True, 2], [-1, -2], [2**63], [2**200], [[1, 2]], [None])
LIES: dict[str, bytes] = {
    **{f"a header of {n} bytes": encoded({"a": 1}, b"", n) for n in LENGTHS},
    **{f"the good file with a header of {n} bytes": struct.pack("<Q", n) + GOOD[8:] for n in LENGTHS},
    **{f"cut at {n}": GOOD[:n] for n in (0, 1, 7, 8, 9, 100, len(GOOD) - 1)},
    "appended": GOOD + b"\0",
    "twice": GOOD * 2,
    **{f"shape {shape}": with_field("w", "shape", shape) for shape in NOT_SIZES},
    **{f"offsets {pair}": with_field("w", "data_offsets", pair) for pair in (*NOT_SIZES, [0], [0, 8, 9], [8, 0])},
    **{f"dtype {code!r}": with_field("w", "dtype", code)
        for code in (None, 1, [], {}, "F16", "BF16", "U64", "f4", "O")},
    "a shape that overflows": with_field("w", "shape", [2**32, 2**32, 2]),
    "a shape that overflows to the size": with_field("w", "shape", [2, 2**63 - 1, 2]),
    "a long empty shape": with_field("w", "shape", [0, 2**62]),
    "33 axes": with_field("w", "shape", [1] * 32 + [2]),
    "another shape": with_field("w", "shape", [2, 1]),
    "another dtype": with_field("w", "dtype", "I64"),
    "no shape": lie(lambda header: header["w"].pop("shape")),
    "offsets that begin at 1": with_field("w", "data_offsets", [1, 9]),
    "another field": with_field("w", "strides", [1]),
    "an array that is no object": lie(lambda header: header.update(w=[1, 2])),
    "arrays that overlap": with_field("n", "data_offsets", [0, 16]),
    "a gap between arrays": lie(
        lambda header: [header[name].update(data_offsets=[n + 1 for n in header[name]["data_offsets"]]) for name in W]
    ),
    "too many bytes for the shape": with_field("w", "data_offsets", [0, 9]),
    "an array renamed": lie(lambda header: header.update(v=header.pop("w"))),
    "an array too many": lie(lambda header: header.update(v={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})),
    "an array too few": lie(lambda header: header.pop("b")),
    "a bool of 2": lie(lambda header: None, W)[:-1] + b"\2",
    **{f"metadata {value!r}": encoded({**table_of(W), "__metadata__": value}, data_of(W)) for value in (
        None, 1, "x", [], [["a", "b"]], {"a": 1}, {"a": None}, {"a": {}}, {},
    )},
    **{f"header {text[:20]!r}": encoded(text) for text in (
        b"[]", b"null", b"{}", b"{", b"}", b'"', b"{]", b"  {}", b"\xff\xfe", b'{"a":}', b'{"a"', b"{'a':1}",
        b"\0" * 64,
        b"{\0}", b'{"a":' * 5000, b"[" * 5000, b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"a":NaN}', b'{"\\ud800":1}',
        b'{"a":"\\',
        b'{"a":' + b"9" * 5000 + b"}", b'{"a":1e99999}', b'{"a":1,"a":1}', b'{"__metadata__":{},"__metadata__":{}}',
    )},
    "metadata twice": encoded(
        b'{"__metadata__":' + dumped(META).encode() + b"," + dumped({"__metadata__": {**META}}).encode()[1:]
    ),
    "no checksum": encoded({**table_of(W), "__metadata__": META}, data_of(W)),
    "format version": file_bytes(W, META | {"format_version": "9" * 5000}),
    "format": file_bytes(W, META | {"format": "\n" * 5000}),
    "no architecture": file_bytes(W, {key: text for key, text in META.items() if key != "architecture"}),
    **{f"architecture {text[:20]!r}": model_bytes(text, W) for text in (
        "", "[", "3", '"x"', "[]", "{}", "true", '{"class":1}', '{"class":"ReLU","config":null}', '{"config":{}}',
        "NaN",
        '{"class":"' + "x" * 5000 + '","config":{}}', '{"class":"Softmax","config":{"axis":Infinity}}',
        '{"class":"MultiMarginLoss","config":{"p":Infinity}}', '{"class":"Dropout","config":{"p":NaN}}',
        '{"class":"LeakyReLU","config":{"negative_slope":"1"}}', '{"class":"Softmax","config":{"axis":{}}}',
        '{"class":"Linear","config":{"in_features":[],"out_features":{}}}', '{"class":"ReLU","config":{"__class__":1}}',
        '{"class":"OneHot","config":{"columns":{"x":1},"features":1}}', '{"class":"Linear","config":{"self":1}}',
        '{"class":"Standardize","config":{"features":1e400}}', '{"class":"Sequential","config":{},"layers":[[]]}',
    )},
    "unused arrays": model_bytes(RELU, W),
    **{f"preparation {text[:40]!r}": model_bytes("null", W, preparation=text) for text in (
        "", "null", "[]", "{}", '{"task":[]}', '{"task":"classification"}',
        '{"task":"classification","target":"t","classes":["a"],"columns":"ab"}',
        '{"task":"classification","target":"t","classes":"ab","columns":["a"]}',
        '{"task":"classification","target":"t","classes":[1],"columns":["a"]}',
        '{"task":"classification","target":3,"classes":["a"],"columns":["a"]}',
        '{"task":"classification","target":"t","classes":["a"],"columns":["a"],"categories":[]}',
        '{"task":"classification","target":"t","classes":["a"],"columns":["a"],"categories":{"a":"xy"}}',
        '{"task":"classification","target":"t","classes":["a"],"columns":["a"],"missing":"no"}',
        '{"task":"regression","target":"t","classes":[],"columns":["a"]}',
    )},
}  # fmt: skip


STATES = (
    "", "null", "[]", "3", "[", '{"a":{}}', '{"a":{"array":"x"}}', '{"a":{"array":3}}', '{"a":{"array":[]}}',
    '{"a":{"dict":[]}}', '{"a":{"dict":null}}', '{"a":{"list":"x"}}', '{"a":{"list":{}}}',
    '{"a":{"dict":{},"array":"w"}}',
    '{"a":{"other":1}}', '{"a":[{"array":"x"}]}', '{"a":' + '{"dict":{"a":' * 500 + "1" + "}}" * 500 + "}",
    '{"a":1,"a":2}',
)  # fmt: skip
