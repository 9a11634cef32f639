"""Every flipped bit and every cut of a model file and of a checkpoint is found."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import chainrule as cr
from chainrule import nn
from chainrule.serialize import _container
from test_serialize import MemoryFile

Record = Callable[[str, object], None]  # pytest's record_property


def net(seed: int) -> nn.Sequential:
    draw = cr.random.Generator(seed=seed)
    return nn.Sequential(nn.Linear(5, 7, generator=draw), nn.Tanh(), nn.Linear(7, 4, generator=draw))


def model_file(path: Path) -> tuple[Callable[[], object], int]:
    """A saved model; how to load it, and the least number of bytes of the file."""
    model = nn.Sequential(*(layer for seed in range(3) for layer in net(seed)))
    cr.save(model, path)
    return lambda: cr.load(path), 2_400


def checkpoint_file(path: Path) -> tuple[Callable[[], object], int]:
    model = net(1)
    optimizer = cr.optim.Adam(model.parameters(), lr=0.01)
    schedule = cr.optim.CosineAnnealingLR(optimizer, 6)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "generator": cr.random.Generator(seed=3)}
    cr.save_checkpoint(path, **parts)
    return lambda: cr.load_checkpoint(path, **parts), 3_200


@pytest.mark.full
@pytest.mark.parametrize("make", [model_file, checkpoint_file])
def test_every_bit_and_every_cut(
    make: Callable[[Path], tuple[Callable[[], object], int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    path = tmp_path / "m"
    load, least = make(path)
    whole = path.read_bytes()
    assert len(whole) >= least
    content, fstat = whole, os.fstat
    monkeypatch.setattr(_container, "open", lambda *_, **__: MemoryFile(content), raising=False)
    monkeypatch.setattr(os, "fstat", lambda file: fstat(file) if isinstance(file, int) else file)
    load()
    changed = 0
    for at in range(len(whole)):
        flipped = [whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for bit in range(8)]
        for content in [whole[:at], *flipped]:
            changed += 1
            try:
                load()
            except cr.ModelFormatError:
                continue
            raise AssertionError(f"{len(content)} of {len(whole)} bytes, changed at {at}, were loaded")
    record_property("changed files", changed)
