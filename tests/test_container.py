"""The reader of model files and checkpoints against files that lie, that are damaged, and that ask for too much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import chainrule as cr
from cases.lying_files import LIES, META, STATES, W
from chainrule.serialize._model_files import load_prepared
from reference import assert_same_bits
from support.model_bytes import checkpoint_bytes, file_bytes


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


VERSION_1 = Path(__file__).parent / "data" / "version_1"  # written by version 0.1, whose predictions follow


def test_files_of_version_1_load() -> None:
    with pytest.warns(UserWarning, match=f"numerics version 1, expected {cr.numerics_version}"):
        model, preparation = load_prepared(VERSION_1 / "model")
    assert model.predict(np.ones((1, 3))).tolist() == [[0.5164659023284912, 0.4835340976715088]]
    assert preparation is not None
    assert (preparation.columns, preparation.classes, preparation.missing) == (("a", "b", "é"), ("x", "y"), True)
    with pytest.warns(UserWarning, match="numerics version 1"):
        state = cr.load(VERSION_1 / "state")
    assert {name: value.tolist() for name, value in state.items()} == {
        "w": [[1.5, -0.0]], "n": [3], "b": [True, False], "z": [],
    }  # fmt: skip
    layer = cr.nn.Linear(3, 2)
    parts = {"model": layer, "optimizer": cr.optim.Adam(layer.parameters()), "generator": cr.random.Generator()}
    with pytest.warns(UserWarning, match="numerics version 1") as caught:
        cr.load_checkpoint(VERSION_1 / "checkpoint", **parts)
    assert caught[0].filename == __file__
    assert parts["optimizer"].lr == 0.125
    assert layer.weight.tolist() == [
        [-0.5212680101394653, 0.6220788359642029],
        [1.0293041467666626, -1.1248023509979248],
        [-0.3342958390712738, 0.7352732419967651],
    ]


@pytest.mark.parametrize("content", LIES.values(), ids=[name.replace("\0", "0") for name in LIES])
def test_lies_are_refused(content: bytes, tmp_path: Path) -> None:
    rejected(tmp_path / "m", content)


NAMED = {
    "a gap between arrays": r"w begins at byte 1, expected 0",
    "arrays that overlap": r"n begins at byte 0, expected 8",
    "too many bytes for the shape": r"w of shape \[1, 2\] does not take 9 bytes",
    "another shape": "checksum",
    "a long empty shape": r"w of shape \[0, 4611686018427387904\] does not take 8 bytes",
}


@pytest.mark.parametrize("name", NAMED)
def test_lies_are_named(name: str, tmp_path: Path) -> None:
    """Other checks refuse these files, too, the checksum at last: the message tells which one did."""
    (tmp_path / "m").write_bytes(LIES[name])
    with pytest.raises(cr.ModelFormatError, match=NAMED[name]):
        cr.load(tmp_path / "m")


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
