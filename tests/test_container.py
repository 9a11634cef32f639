"""The reader of model files and checkpoints against files that lie, that are damaged, and that ask for too much."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import chainrule as cr
from chainrule.serialize import _container
from reference import assert_same_bits
from support import fresh_interpreter as fresh
from support.model_bytes import checkpoint_bytes, data_of, digest, dumped, encoded, file_bytes, model_bytes, table_of

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


def rejected(path: Path, content: bytes, load: Callable[[Path], Any] = cr.load) -> str:
    """The message with which a file is refused: one line of limited length."""
    path.write_bytes(content)
    with pytest.raises(cr.ModelFormatError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert len(text) < 400 + len(str(path))
    return text


def load_checkpoint(path: Path) -> None:
    cr.load_checkpoint(path)


# What the library of the format writes and reads.


@pytest.mark.parametrize("seed", range(20))
def test_files_are_those_of_the_safetensors_library(seed: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    values: dict[str, np.ndarray] = {}
    for i in range(int(generator.integers(0, 9))):
        shape = tuple(generator.integers(0, 4, int(generator.integers(0, 4))))
        dtype = (np.float32, np.float64, np.int64, np.bool_)[int(generator.integers(4))]
        values[f"{generator.choice(['a', 'é', 'x.y', '日本', ''])}{i}"] = generator.normal(size=shape).astype(dtype)
    cr.save(values, tmp_path / "m")
    theirs = safetensors.numpy.load_file(tmp_path / "m")
    ours = cr.load(tmp_path / "m")
    for found in (theirs, ours):
        assert found.keys() == values.keys()
        for name in values:
            assert_same_bits(found[name], values[name], name)
    content = (tmp_path / "m").read_bytes()
    library = safetensors.numpy.save(values)
    begin, theirs_begin = (8 + int.from_bytes(data[:8], "little") for data in (content, library))
    assert content[begin:] == library[theirs_begin:]


def test_arrays_in_any_order_are_read(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(file_bytes(W, META))
    for name, value in cr.load(tmp_path / "m").items():
        assert_same_bits(value, W[name], name)


# Lies.


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
    **{f"offsets {pair}": with_field("w", "data_offsets", pair) for pair in (*NOT_SIZES, [0], [0, 8, 9], [8, 0], [1, 9])},
    **{f"dtype {code!r}": with_field("w", "dtype", code) for code in (None, 1, [], {}, "F16", "BF16", "U64", "f4", "O")},
    "a shape that overflows": with_field("w", "shape", [2**32, 2**32, 2]),
    "a shape that overflows to the size": with_field("w", "shape", [2, 2**63 - 1, 2]),
    "a long empty shape": with_field("w", "shape", [0, 2**62]),
    "33 axes": with_field("w", "shape", [1] * 32 + [2]),
    "another shape": with_field("w", "shape", [2, 1]),
    "another dtype": with_field("w", "dtype", "I64"),
    "no shape": lie(lambda header: header["w"].pop("shape")),
    "another field": with_field("w", "strides", [1]),
    "an array that is no object": lie(lambda header: header.update(w=[1, 2])),
    "arrays that overlap": with_field("n", "data_offsets", [0, 16]),
    "a gap between arrays": lie(
        lambda header: [header[name].update(data_offsets=[n + 1 for n in header[name]["data_offsets"]]) for name in W]
    ),
    "an array renamed": lie(lambda header: header.update(v=header.pop("w"))),
    "an array too many": lie(lambda header: header.update(v={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})),
    "an array too few": lie(lambda header: header.pop("b")),
    "a bool of 2": lie(lambda header: None, W)[:-1] + b"\2",
    **{f"metadata {value!r}": lie(lambda header, value=value: header.update(__metadata__=value)) for value in (  # type: ignore[misc]
        None, 1, "x", [], [["a", "b"]], {"a": 1}, {"a": None}, {"a": {}}, {},
    )},
    **{f"header {text[:20]!r}": encoded(text) for text in (
        b"[]", b"null", b"{}", b"{", b"}", b'"', b"{]", b"  {}", b"\xff\xfe", b'{"a":}', b'{"a"', b"{'a':1}", b"\0" * 64, b"{\0}",
        b'{"a":' * 5000, b"[" * 5000, b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", b'{"a":NaN}', b'{"\\ud800":1}', b'{"a":"\\',
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
        "", "[", "3", '"x"', "[]", "{}", "true", '{"class":1}', '{"class":"ReLU","config":null}', '{"config":{}}', "NaN",
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


@pytest.mark.parametrize("content", LIES.values(), ids=[name.replace("\0", "0") for name in LIES])
def test_lies_are_refused(content: bytes, tmp_path: Path) -> None:
    rejected(tmp_path / "m", content)


STATES = (
    "", "null", "[]", "3", "[", '{"a":{}}', '{"a":{"array":"x"}}', '{"a":{"array":3}}', '{"a":{"array":[]}}',
    '{"a":{"dict":[]}}', '{"a":{"dict":null}}', '{"a":{"list":"x"}}', '{"a":{"list":{}}}', '{"a":{"dict":{},"array":"w"}}',
    '{"a":{"other":1}}', '{"a":[{"array":"x"}]}', '{"a":' + '{"dict":{"a":' * 500 + "1" + "}}" * 500 + "}", '{"a":1,"a":2}',
)  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=[state[:30] for state in STATES])
def test_lies_about_a_state_are_refused(state: str, tmp_path: Path) -> None:
    rejected(tmp_path / "c", checkpoint_bytes(state, W), load_checkpoint)


@pytest.mark.parametrize("metadata", [{"format": "chainrule"}, {"format_version": "2"}, {"sha256": ""}])
def test_what_is_no_checkpoint(metadata: dict[str, str], tmp_path: Path) -> None:
    content = checkpoint_bytes("{}", W, **metadata)
    if "sha256" not in metadata:
        rejected(tmp_path / "c", content, load_checkpoint)
    for name in ("a header of 0 bytes", "cut at 100", "metadata None", "arrays that overlap", "header b'{}'"):
        rejected(tmp_path / "c", LIES[name], load_checkpoint)


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    """The limits hold for writing, too: an older file stays."""
    path = tmp_path / "m"
    path.write_bytes(b"old")
    state = {"w": np.zeros(1, np.float32)}
    too_much: list[tuple[Any, str]] = [
        ({"__metadata__": np.zeros(1)}, "the name __metadata__ is reserved"),
        ({f"{i}": np.zeros(0) for i in range(2**16 + 1)}, "65537 arrays, at most 65536"),
        ({"x" * 2**24: np.zeros(0)}, "names and metadata take .* bytes, at most 16777216"),
        ({"a": np.zeros((0, 2**40))}, "does not take"),
        (cr.nn.Sequential(*[cr.nn.ReLU() for _ in range(2**14)]), "16385 modules, at most 16384"),
    ]
    deep: cr.nn.Module = cr.nn.ReLU()
    for _ in range(65):
        deep = cr.nn.Sequential(deep)
    for model, message in [*too_much, (deep, "nested deeper than 64 modules")]:
        with pytest.raises(ValueError, match=f"save: .*{message}"):
            cr.save(model, path)
        assert path.read_bytes() == b"old"

    class Part:
        def __init__(self, state: Any) -> None:
            self.state = state

        def state_dict(self) -> Any:
            return self.state

        def load_state_dict(self, state: Any) -> None:
            self.state = state

    for bad, message in [([0] * 2**20, "more than"), ("x" * 2**24, "at most 16777216")]:
        with pytest.raises(ValueError, match=f"save_checkpoint: .*{message}"):
            cr.save_checkpoint(path, part=Part(bad))
        assert path.read_bytes() == b"old"
    part = Part({"losses": [float(i) / 3 for i in range(2**20)], "few": [1.5, float("inf")]})
    cr.save_checkpoint(path, part=part)  # a long history is no part of the header
    again = Part(None)
    cr.load_checkpoint(path, part=again)
    assert again.state == part.state
    deep_but_good: cr.nn.Module = cr.nn.Linear(1, 1)
    for _ in range(64):
        deep_but_good = cr.nn.Sequential(deep_but_good)
    cr.save(deep_but_good, path)
    assert repr(cr.load(path)) == repr(deep_but_good)
    assert state


# Damage, by mutation. `python -m pytest tests/test_container.py -m full` runs the long one.


def seeds() -> list[tuple[bytes, Callable[[Path], Any]]]:
    model = cr.nn.Sequential(cr.nn.Linear(2, 2, generator=cr.random.Generator(1)), cr.nn.Tanh(), cr.nn.Dropout(0.5))
    tied = sequence([
        {"class": "Linear", "config": {"in_features": 1, "out_features": 1}},
        {"class": "Linear", "config": {"in_features": 1, "out_features": 1}},
    ])  # fmt: skip
    one = np.ones((1, 1), np.float32)
    plain = {"0.weight": one, "0.bias": one[0], "1.bias": one[0]}
    state = {"part": {"dict": {"a": {"array": "part.a"}, "b": [1, 2.5, None, "x"]}}}
    prepared = {
        "task": "classification",
        "target": "t",
        "classes": ["a", "b"],
        "columns": ["x"],
        "categories": {"x": ["u"]},
    }
    values = {f"{name}": value for name, value in model.state_dict().items()}
    spec = sequence([{"class": type(layer).__name__, "config": layer.config()} for layer in model])
    return [
        (model_bytes(spec, values), cr.load),
        (model_bytes(tied | {"links": {"1.weight": "0.weight"}}, plain, format_version="2"), cr.load),
        (model_bytes(None, W, preparation=dumped(prepared)), cr.load),
        (checkpoint_bytes(state, {"part.a": W["w"]}), load_checkpoint),
    ]


TOKENS = (
    *(
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"NaN",
        b"Infinity",
        b"0",
        b"2",
        b"\\u0000",
    ),
    *(
        b"9223372036854775807",
        b"18446744073709551616",
        b'"Sequential"',
        b'"layers"',
        b'"shared"',
        b'"links"',
        b'"config"',
    ),
    *(
        b'"F32"',
        b'"BOOL"',
        b'"data_offsets"',
        b'"shape"',
        b"{}",
        b"[]",
        b'""',
        b'"__metadata__"',
        b"1.5",
        b"\xff",
        b"\0",
    ),
)


def mutant(content: bytes, draw: random.Random) -> bytes:
    """A change to the bytes, or to the JSON of the metadata with the checksum put right again."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at, kind = draw.randrange(len(data) + 1), draw.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = draw.randrange(256)
        elif kind == 1:
            data[at:at] = draw.choice(TOKENS)
        elif kind == 2:
            del data[at : at + draw.choice((1, 2, 8, 50))]
        elif kind == 3:
            end = at + draw.choice((1, 4, 20))
            data[at:end] = draw.choice(TOKENS)
        else:
            other = draw.randrange(len(data) + 1)
            data[at:at] = data[other : other + draw.choice((1, 8, 40))]
    length = int.from_bytes(content[:8], "little") + len(data) - len(content)
    if draw.random() < 0.7 and length > 0:
        data[:8] = length.to_bytes(8, "little")  # the change was in the header
    return bytes(data)


def unchecked(values: Any) -> Iterator[None]:
    before = _container._digest
    _container._digest = lambda entries, values, metadata: metadata.get("sha256", "")  # type: ignore[assignment]
    yield
    _container._digest = before


@pytest.fixture
def without_checksum() -> Iterator[None]:
    """Mutants get past the checksum, as those of somebody who computes it would."""
    yield from unchecked(None)


def attack(count: int, seed: int, path: Path) -> dict[str, int]:
    """Load mutants; only ModelFormatError may come out, and a good model may."""
    found = {"loaded": 0, "refused": 0}
    draw = random.Random(seed)
    files = seeds()
    for _ in range(count):
        content, load = draw.choice(files)
        changed = mutant(content, draw)
        path.write_bytes(changed)
        try:
            load(path)
            found["loaded"] += 1
        except cr.ModelFormatError as error:
            found["refused"] += 1
            assert len(str(error)) < 500 and "\n" not in str(error), changed
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error} from {changed!r}") from error
    return found


@pytest.mark.filterwarnings("ignore:.*numerics version:UserWarning")
def test_mutants_are_refused(tmp_path: Path, without_checksum: None) -> None:
    found = attack(4000, 1, tmp_path / "m")
    assert found["refused"] > 2000
    assert found["loaded"] > 40  # they get far


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:.*numerics version:UserWarning")
def test_many_mutants_are_refused(tmp_path: Path, without_checksum: None) -> None:
    attack(300_000, 2, tmp_path / "m")


def test_nothing_runs_while_mutants_are_loaded(tmp_path: Path) -> None:
    """No import, compilation, process, socket, or file opened for writing."""
    code = (
        "import os, sys, random, warnings, pathlib\n"
        "import chainrule as cr, test_container as t\n"
        "from chainrule.serialize import _container\n"
        "import numpy.exceptions, numpy.dtypes\n"
        "warnings.simplefilter('ignore')\n"
        "path, draw, files = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(os.environ['FOLDER']) / 'm', "
        "random.Random(3), t.seeds()\n"
        "_container._digest = lambda entries, values, metadata: metadata.get('sha256', '')\n"
        "def load():\n"
        "    try: loader(path)\n"
        "    except cr.ModelFormatError: pass\n"
        "for content, loader in files:\n"
        "    path.write_bytes(content)\n"
        "    loader(path)\n"
        "events, watching = [], False\n"
        "sys.addaudithook(lambda *event: events.append(event) if watching else None)\n"
        "for _ in range(1500):\n"
        "    content, loader = draw.choice(files)\n"
        "    path.write_bytes(t.mutant(content, draw))\n"
        "    watching = True\n"
        "    load()\n"
        "    watching = False\n"
        "kinds = ('import', 'exec', 'compile', 'os.', 'subprocess', 'socket', 'ctypes', 'pickle', 'marshal', 'code')\n"
        "print(sum(e[0] == 'open' for e in events) >= 1500, sorted({e[0] for e in events if e[0].startswith(kinds)}))\n"
        "print([e for e in events if e[0] == 'open' and e[1][1] not in ('rb', 'r')][:3])\n"
    )
    assert fresh.output(code, FOLDER=str(tmp_path)).splitlines() == ["True", "[]", "[]"] or True
    shown = fresh.output(code, FOLDER=str(tmp_path)).splitlines()
    assert shown == ["True []", "[]"]


# Bombs.

EMPTY = np.zeros(0, np.float32)
BOMBS: dict[str, Callable[[], bytes]] = {
    "layers in a header of 16 MB": lambda: model_bytes(sequence([RELU] * 480_000), {}),
    "layers": lambda: model_bytes(sequence([RELU] * 65_000), {}),
    "layers within layers": lambda: model_bytes('{"class":"Sequential","config":{},"layers":[' * 60_000 + "]}" * 60_000, {}),
    "arrays": lambda: file_bytes({f"t{i}": EMPTY for i in range(250_000)}, META),
    "empty lists": lambda: encoded(b'{"a":[' + b"[]," * 5_000_000 + b"[]]}"),
    "strings": lambda: encoded(b'{"a":[' + b'"a",' * 4_000_000 + b'""]}'),
    "brackets in strings": lambda: encoded(b'{"a":"' + b"[" * 16_000_000 + b'"}'),
    "a number of many digits": lambda: encoded(b'{"a":' + b"1" * 16_000_000 + b"}"),
    "a fraction of many digits": lambda: encoded(b'{"a":0.' + b"1" * 16_000_000 + b"}"),
    "backslashes": lambda: encoded(b'{"a":"' + b"\\\\" * 8_000_000 + b'"}'),
    "escapes": lambda: encoded(b'{"a":"' + b"\\u0041" * 2_700_000 + b'"}'),
    "spaces": lambda: encoded(b"{" + b" " * 16_000_000 + b"}"),
    "names": lambda: encoded({"__metadata__": {f"{i}": "0" for i in range(700_000)}}),
    "one name many times": lambda: encoded(b"{" + b'"a":0,' * 260_000 + b'"a":0}'),
    "links": lambda: model_bytes({**sequence([RELU]), "links": {f"{i}": "0" for i in range(200_000)}}, {}),
    "shared layers": lambda: model_bytes(sequence([RELU, *[{"shared": "0"}] * 100_000]), {}, format_version="2"),
    "products of features": lambda: model_bytes(
        sequence([{"class": "PolynomialFeatures", "config": {"degree": 2, "features": 1000}}] * 10_000), {}
    ),
    "categories": lambda: model_bytes(
        {"class": "OneHot", "config": {"features": 10**9, "columns": {"0": 10**9}}},
        {"sizes": np.array([10**9]), "values": np.zeros(0)},
    ),
    "classes": lambda: model_bytes("null", {}, preparation=dumped({"classes": [str(i) for i in range(900_000)]})),
    "states": lambda: checkpoint_bytes({"a": [0] * 7_000_000}, {}),
    "a wide layer": lambda: model_bytes({"class": "Linear", "config": {"in_features": 10**9, "out_features": 10**9}}, W),
}  # fmt: skip
MEASURE = """
import resource, sys, time
import chainrule as cr, chainrule.serialize, chainrule.train
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
load = cr.load_checkpoint if sys.argv[0] == 'c' or FILE.endswith('states') else cr.load
start = time.process_time()
before = peak()
try: load(FILE)
except cr.ModelFormatError: print('refused', end=' ')
else: print('loaded', end=' ')
print(time.process_time() - start, peak() - before)
"""


def measured(path: Path) -> tuple[str, float, float]:
    what, seconds, mebibytes = fresh.output(f"FILE = {str(path)!r}\n{MEASURE}").split()
    return what, float(seconds), float(mebibytes)


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_little_time_and_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BOMBS[name]())
    _, seconds, mebibytes = measured(path)
    assert seconds < 2  # a second of an idle machine
    assert mebibytes < 2 * path.stat().st_size / 2**20 + 64


@pytest.mark.parametrize("begin", [b"", struct.pack("<Q", 1 << 23), encoded({"a": 1}), b"\x80\x04"])
def test_a_large_file_is_judged_by_its_first_bytes(begin: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m"
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(3 << 30)
    what, seconds, mebibytes = measured(path)
    assert what == "refused"
    assert seconds < 0.5
    assert mebibytes < 64


@pytest.mark.parametrize("one", [True, False])
def test_loading_takes_twice_the_file(one: bool, tmp_path: Path) -> None:
    linear = cr.nn.Linear
    model = linear(4000, 4000) if one else cr.nn.Sequential(linear(2000, 3000), cr.nn.ReLU(), linear(3000, 3000))
    cr.save(model, tmp_path / "m")
    what, _, mebibytes = measured(tmp_path / "m")
    assert what == "loaded"
    assert mebibytes < 2.1 * (tmp_path / "m").stat().st_size / 2**20 + 8


if __name__ == "__main__":  # python tests/test_container.py COUNT SEED: more mutants, by hand
    for _ in unchecked(None):
        print(attack(int(sys.argv[1]), int(sys.argv[2]), Path("/tmp/mutant")))
