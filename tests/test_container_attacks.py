"""Model files and checkpoints against random damage, and files that ask for too much time or memory."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.lying_files import LIES, META, RELU, W, sequence
from chainrule.serialize import _container
from support import fresh_interpreter as fresh
from support.model_bytes import checkpoint_bytes, dumped, encoded, file_bytes, model_bytes


def load_checkpoint(path: Path) -> None:
    cr.load_checkpoint(path)


# Damage, by mutation. `python -m pytest tests/test_container_attacks.py -m full` runs the long one.


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
    messages: list[str] = []
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
            messages.append(str(error))
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error} from {changed!r}") from error
    assert not [text for text in messages if len(text) > 500 + len(str(path)) or "\n" in text]
    return found


@pytest.mark.filterwarnings("ignore:.*numerics version:UserWarning")
def test_mutants_are_refused(
    tmp_path: Path, without_checksum: None, record_property: Callable[[str, object], None]
) -> None:
    found = attack(4000, 1, tmp_path / "m")
    record_property("fuzzed inputs", 4000)
    assert found["refused"] > 2000
    assert found["loaded"] > 40  # they get far


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:.*numerics version:UserWarning")
def test_many_mutants_are_refused(
    tmp_path: Path, without_checksum: None, record_property: Callable[[str, object], None]
) -> None:
    attack(300_000, 2, tmp_path / "m")
    record_property("fuzzed inputs", 300_000)


def test_nothing_runs_while_mutants_are_loaded(tmp_path: Path) -> None:
    """No import, compilation, process, socket, or file opened for writing."""
    code = (
        "import os, sys, random, warnings, pathlib\n"
        "import chainrule as cr, test_container_attacks as t\n"
        "from chainrule.serialize import _container\n"
        "import numpy.exceptions, numpy.dtypes\n"
        "warnings.simplefilter('ignore')\n"
        "path, draw, files = pathlib.Path(os.environ['FOLDER']) / 'm', random.Random(3), t.seeds()\n"
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
    shown = fresh.output(code, FOLDER=str(tmp_path)).splitlines()
    assert shown == ["True []", "[]"]


# Bombs.

EMPTY = np.zeros(0, np.float32)
BOMBS: dict[str, Callable[[], bytes]] = {
    "layers in a header of 16 MB": lambda: model_bytes(sequence([RELU] * 480_000), {}),
    "layers": lambda: model_bytes(sequence([RELU] * 65_000), {}),
    "layers within layers": lambda: model_bytes(dumped(sequence([]))[:-2] * 60_000 + "]}" * 60_000, {}),
    "arrays": lambda: file_bytes({f"t{i}": EMPTY for i in range(100_000)}, META),
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
    "a wide layer": lambda: model_bytes(
        {"class": "Linear", "config": {"in_features": 10**9, "out_features": 10**9}}, W
    ),
}  # fmt: skip
MEASURE = """
import sys, time
import chainrule as cr, chainrule.serialize, chainrule.train
# Not ru_maxrss: a new process begins with that of the one that started it.
def peak(): return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')) / 1024
load = cr.load_checkpoint if FILE.endswith('states') else cr.load
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
def test_bombs_take_little_time_and_memory(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    take_little(BOMBS[name](), tmp_path / "m")
    record_property("bombs", 1)


@pytest.mark.full
@pytest.mark.parametrize("number", range(0, len(LIES), 5))
def test_lies_take_little_time_and_memory(
    number: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    take_little(list(LIES.values())[number], tmp_path / "m")
    record_property("bombs", 1)


def take_little(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    _, seconds, mebibytes = measured(path)
    assert seconds < 2  # a second of an idle machine
    assert mebibytes < 2 * len(content) / 2**20 + 64


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
