"""Model files: round trips keep the bits, damage is always detected, writes are atomic."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import chainrule as cr
from cases.layers import CALLABLE, example, tensors_of
from chainrule import nn
from chainrule._util.files import write_atomic
from chainrule.data._schema import Preparation
from chainrule.serialize import _container
from chainrule.serialize._model_files import load_prepared
from reference import assert_same_bits
from support.model_bytes import forged


def net(dtype: type = np.float32) -> nn.Sequential:
    generator = cr.random.Generator(seed=9)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3, 4, generator=generator, dtype=dtype, init="he"),
        nn.LeakyReLU(0.125),
        nn.Sequential(nn.Linear(4, 2, bias=False, generator=generator, dtype=dtype), nn.Softmax(axis=1)),
    )


def test_a_model_comes_back_with_the_same_bits(tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64):
        model = net(dtype)
        cr.save(model, tmp_path / "m")
        copy = cr.load(tmp_path / "m")
        assert repr(copy) == repr(model)
        for name, value in model.state_dict().items():
            assert copy.state_dict()[name].tobytes() == value.tobytes()
        x = cr.random.Generator(seed=1).normal((7, 3), dtype=dtype)
        assert copy.predict(x).tobytes() == model.predict(x).tobytes()
        assert all(parameter.requires_grad for parameter in copy.parameters())


@pytest.mark.parametrize("name", CALLABLE)
def test_every_layer_can_be_saved(tmp_path: Path, name: str) -> None:
    """That of its example, and some with arguments that are no defaults."""
    arguments: dict[str, tuple[Any, ...]] = {
        "Linear": (3, 2), "LeakyReLU": (0.3,), "Softmax": (0,), "MSELoss": ("sum",), "ELU": (0.7,), "SiLU": (1.5,),
        "Conv2d": (3, 2, (2, 3), 1, "same"), "Conv1d": (4, 2, 3, 2, 1, 2, 2),
        "ConvTranspose2d": (4, 2, (2, 3), 2, 1, (0, 1), 2), "ConvTranspose1d": (4, 2, 3, 2, 1, 1, 2, False),
        "MaxPool2d": (2, 3, 1), "AvgPool2d": ((2, 3), None, 1, True, False, 5),
        "PReLU": (3, 0.1), "GELU": ("tanh",), "Maxout": (3, 2, 4), "Hardtanh": (-2.0, 0.5), "Hardsigmoid": (1.0,),
        "Output": ("count", 3, 2),
        "Standardize": (3, "mean"), "OneHot": (3, {1: 4}), "PCA": (3, 2), "Whiten": (3, None, 0.5),
        "BatchNorm1d": (3, 0.1, None, False, True), "BatchNorm2d": (3, 0.1, 0.5, True, False),
        "RMSNorm": (4, 0.1, False), "LayerNorm": ((2, 3), 0.1, True, False),
        "GroupNorm": (3, 6, 0.1, False), "InstanceNorm2d": (3, 0.1), "Heaviside": (0.0,),
        "PolynomialFeatures": (3, 2, True, False), "RBFFeatures": (np.array([[0.5, -1.0]]), 0.3),
    }  # fmt: skip
    found = example(nn.LAYERS[name])
    for layer in (found.layer, *([nn.LAYERS[name](*arguments[name])] if name in arguments else [])):
        cr.save(layer, tmp_path / "m")
        assert repr(cr.load(tmp_path / "m")) == repr(layer)
    cr.save(found.layer, tmp_path / "m")
    copy = cr.load(tmp_path / "m").eval()
    for a, b in zip(tensors_of(copy(*found.inputs)), tensors_of(found.layer.eval()(*found.inputs)), strict=True):
        assert_same_bits(a.numpy(), b.numpy(), name)


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    """In separate processes: the safetensors writer orders its metadata at random."""
    code = (
        "import sys, chainrule as cr\n"
        "g = cr.random.Generator(seed=1)\n"
        "cr.save(cr.nn.Sequential(cr.nn.Linear(3, 2, generator=g), cr.nn.Tanh()), sys.argv[1])\n"
    )
    for name in "ab":
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, timeout=60)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_loading_draws_no_random_numbers(tmp_path: Path) -> None:
    cr.save(net(), tmp_path / "m")
    cr.manual_seed(3)
    expected = nn.Linear(3, 3).weight.numpy()
    cr.manual_seed(3)
    cr.load(tmp_path / "m")
    np.testing.assert_array_equal(nn.Linear(3, 3).weight.numpy(), expected)


def test_other_programs_can_read_the_file(tmp_path: Path) -> None:
    cr.save(net(), tmp_path / "m.safetensors")
    values = safetensors.numpy.load_file(tmp_path / "m.safetensors")
    assert set(values) == {"1.weight", "1.bias", "3.0.weight"}
    with safetensors.safe_open(tmp_path / "m.safetensors", "numpy") as file:
        metadata = file.metadata()
    assert metadata["format"] == "chainrule"
    assert metadata["numerics_version"] == str(cr.numerics_version)
    assert json.loads(metadata["architecture"])["class"] == "Sequential"


class Own(nn.Module):
    def __init__(self) -> None:
        self.scale = nn.Parameter(2.5)
        self.inner = nn.Linear(2, 1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x) * self.scale


def test_a_module_of_ones_own_is_saved_by_its_state(tmp_path: Path) -> None:
    model, copy = Own(), Own()
    cr.save(model.state_dict(), tmp_path / "m")
    copy.load_state_dict(cr.load(tmp_path / "m"))
    assert copy.scale.shape == ()
    assert copy.scale.item() == 2.5
    np.testing.assert_array_equal(copy.inner.weight.numpy(), model.inner.weight.numpy())


def test_what_cannot_be_saved_writes_nothing(tmp_path: Path) -> None:
    shared = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="save: the model is a Own, which is not a layer"):
        cr.save(Own(), tmp_path / "m")
    with pytest.raises(TypeError, match=r"save: layer '0\.0' is a Own"):
        cr.save(nn.Sequential(nn.Sequential(Own())), tmp_path / "m")
    cyclic = nn.Sequential(shared)
    cyclic.append(nn.Sequential(cyclic))
    with pytest.raises(ValueError, match="save: the model contains itself"):
        cr.save(cyclic, tmp_path / "m")
    with pytest.raises(TypeError, match="save: x is complex128"):
        cr.save({"x": np.zeros(1, complex)}, tmp_path / "m")
    assert os.listdir(tmp_path) == []


def preparation() -> Preparation:
    return Preparation(
        columns=("a", "b", "é"),
        target="t",
        classes=("x", "y"),
        output=None,
        categories={"b": ("no", "yes")},
        missing=True,
    )


def test_the_preparation_travels_with_the_model(tmp_path: Path) -> None:
    cr.save(net(), tmp_path / "m", preparation=preparation())
    model, found = load_prepared(tmp_path / "m")
    assert found is not None
    assert found.columns == ("a", "b", "é")
    assert found.classes == ("x", "y")
    assert found.categories == {"b": ("no", "yes")}
    assert found.missing
    assert found.task == "classification"
    assert found.output is None
    assert set(model.state_dict()) == {"1.weight", "1.bias", "3.0.weight"}
    assert repr(cr.load(tmp_path / "m")) == repr(net())


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_files_with_the_scaling_beside_the_model_load_as_one_model(tmp_path: Path, task: str) -> None:
    """As version 0.1.0 wrote them at first: the inputs' scaling is the first layer now."""
    scaling = {"inputs.shift": [1.0, 0.1, -3.0], "inputs.scale": [1.0, 1 / 3, 7.0]}
    if task == "regression":
        scaling |= {"output.shift": [50.0], "output.scale": [4.0]}
    values = WEIGHTS | {f"preparation.{name}": np.array(numbers) for name, numbers in scaling.items()}
    names = {"columns": ["a", "b", "c"], "target": "t", "classes": ["x", "y"], "task": task}
    path = forged(tmp_path / "m", linear(), values, preparation=json.dumps(names))
    model, found = load_prepared(path)
    X = np.array([[1.5, 2.25, -4.0], [30.0, 0.5, 1e6]])
    scaled = ((X - scaling["inputs.shift"]) / scaling["inputs.scale"]).astype(np.float32)
    assert model.predict(X).tobytes() == model[1:].predict(scaled).tobytes()
    assert repr(cr.load(path)) == repr(model)
    assert found is not None
    assert (found.columns, found.categories, found.missing) == (("a", "b", "c"), {}, False)
    if task == "regression":
        assert found.predictions(np.array([[0.5]], np.float32)) == ["52.0"]
    cr.save(model, tmp_path / "again", preparation=found)
    copy, kept = load_prepared(tmp_path / "again")
    assert copy.predict(X).tobytes() == model.predict(X).tobytes()
    assert kept is not None
    assert kept.describe() == found.describe()
    del values["preparation.inputs.scale"]
    with pytest.raises(cr.ModelFormatError, match=r"preparation: inputs requires mean and std of shape \(3,\)"):
        cr.load(forged(path, linear(), values, preparation=json.dumps(names)))


# Damage.


class MemoryFile(io.BytesIO):
    """A file without a disk: its handle, for `os.fstat`, is what `os.fstat` is to return."""

    def fileno(self) -> Any:
        return os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, len(self.getvalue()), 0, 0, 0))


def test_every_bit_flip_and_every_cut_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m"
    small = nn.Sequential(nn.Linear(2, 1, generator=cr.random.Generator(seed=1)), nn.Tanh())
    cr.save(small, path)
    whole = path.read_bytes()
    assert 400 < len(whole) < 1000
    damaged = [whole[:length] for length in range(len(whole))] + [whole + b"\0", b"\0" + whole, whole * 2]
    for i in range(len(whole)):
        for bit in range(8):
            damaged.append(whole[:i] + bytes([whole[i] ^ 1 << bit]) + whole[i + 1 :])
    fstat = os.fstat
    for content in [whole, *damaged]:  # thousands of real files would take their time
        monkeypatch.setattr(_container, "open", lambda *_, c=content, **__: MemoryFile(c), raising=False)
        monkeypatch.setattr(os, "fstat", lambda file: fstat(file) if isinstance(file, int) else file)
        if content is whole:
            assert repr(cr.load(path)) == repr(small)
            continue
        with pytest.raises(cr.ModelFormatError) as caught:
            cr.load(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def linear(**config: Any) -> dict[str, Any]:
    sizes = {"in_features": 3, "out_features": 4}
    return {"class": "Sequential", "config": {}, "layers": [{"class": "Linear", "config": sizes | config}]}


WEIGHTS = {"0.weight": np.ones((3, 4), np.float32), "0.bias": np.ones(4, np.float32)}


def test_forged_file_loads_when_nothing_is_wrong(tmp_path: Path) -> None:
    assert cr.load(forged(tmp_path / "m", linear(), WEIGHTS))[0].weight.numpy().sum() == 12


@pytest.mark.parametrize(
    ("architecture", "values", "metadata", "message"),
    [
        (linear(), WEIGHTS, {"format_version": "3"}, "format version 3, expected 1 or 2"),
        (linear(), WEIGHTS, {"format": "pt"}, "but not a chainrule model"),
        ("{", WEIGHTS, {}, "Expecting"),
        ("[" * 100_000, WEIGHTS, {}, "nested deeper than 256 brackets"),
        ([], WEIGHTS, {}, "the model has no class and config"),
        ({"class": "Linear"}, WEIGHTS, {}, "the model has no class and config"),
        ({"class": "os.system", "config": {}}, WEIGHTS, {}, "unknown layer class 'os.system'"),
        ({"class": ["Linear"], "config": {}}, WEIGHTS, {}, "unknown layer class"),
        (linear(in_features=10**12), WEIGHTS, {}, "0.weight has shape .*, expected shape"),
        (linear(in_features="3"), WEIGHTS, {}, "0.weight has shape .*, expected shape"),
        (linear(extra=1), WEIGHTS, {}, "extra"),
        (linear(init="zero"), WEIGHTS, {}, "init must be one of"),
        (linear(dtype="float64"), WEIGHTS, {}, "0.weight is float64, the value float32"),
        (linear(bias=False), WEIGHTS, {}, "unknown 0.bias"),
        (linear(), {"0.weight": WEIGHTS["0.weight"]}, {}, "missing 0.bias"),
        (linear(), {}, {}, "0.weight is missing, expected shape"),
        (linear(), WEIGHTS, {"preparation": "{}"}, "'task' is missing"),
        (linear(), WEIGHTS, {"preparation": '{"task":"none"}'}, "unknown task"),
    ],
)
def test_wrong_content_with_a_right_checksum(
    tmp_path: Path, architecture: Any, values: dict[str, np.ndarray], metadata: dict[str, str], message: str
) -> None:
    with pytest.raises(cr.ModelFormatError, match=message) as caught:
        cr.load(forged(tmp_path / "m", architecture, values, **metadata))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_another_numerics_version_is_a_warning(tmp_path: Path) -> None:
    path = forged(tmp_path / "m", linear(), WEIGHTS, numerics_version="1")
    with pytest.warns(UserWarning, match="numerics version 1, expected 2: results may differ in their last") as caught:
        assert cr.load(path)[0].in_features == 3
    assert caught[0].filename == __file__


def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(safetensors.numpy.save({"w": np.zeros(2)}))
    with pytest.raises(cr.ModelFormatError, match="but not a chainrule model"):
        cr.load(path)
    header = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(cr.ModelFormatError):
        cr.load(path)
    path.write_bytes((2**63).to_bytes(8, "little") + b"{}")
    with pytest.raises(cr.ModelFormatError, match="not a safetensors file"):
        cr.load(path)
    path.write_bytes(b"")
    with pytest.raises(cr.ModelFormatError, match="not a safetensors file"):
        cr.load(path)
    with pytest.raises(FileNotFoundError):
        cr.load(tmp_path / "nowhere")
    assert issubclass(cr.ModelFormatError, ValueError)


def test_loading_runs_no_code(tmp_path: Path) -> None:
    """No import, compilation, process, socket or file opened for writing while good and bad files are loaded."""
    cr.save(net(), tmp_path / "good")
    forged(tmp_path / "bad", {"class": "os.system", "config": {"command": "true"}}, WEIGHTS)
    code = (
        "import os, sys, chainrule as cr\n"
        "cr.load(sys.argv[1])\n"
        "events = []\n"
        "sys.addaudithook(lambda *event: events.append(event))\n"
        "cr.load(sys.argv[1])\n"
        "try: cr.load(sys.argv[2])\n"
        "except cr.ModelFormatError: print('rejected')\n"
        "found = list(events)\n"
        "kinds = ('import', 'exec', 'compile', 'os.', 'subprocess', 'socket', 'ctypes', 'pickle', 'marshal', 'code')\n"
        "writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT\n"
        "print(len([e for e in found if e[0] == 'open']), 'files opened')\n"
        "print([e for e in found if e[0].startswith(kinds) or e[0] == 'open' and e[1][2] & writes])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "good"), str(tmp_path / "bad")]
    shown = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout
    assert shown.splitlines() == ["rejected", "2 files opened", "[]"]


# Writing.


def test_failure_at_every_step_of_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m"
    write_atomic(path, b"old")
    path.chmod(0o600)  # that of a new file is another, so that it is changed
    for call in ("open", "write", "fsync", "replace"):

        def fail(*arguments: object, **options: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(OSError, match="No space left on device") as caught:
                write_atomic(path, b"new")
        assert caught.value.filename == str(path)
        assert path.read_bytes() == b"old", call
        assert os.listdir(tmp_path) == ["m"], call


@pytest.mark.parametrize("unnamed", [True, False])
def test_the_order_of_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unnamed: bool) -> None:
    """Data are synced before the rename, the folder after it."""
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")
    write_atomic(tmp_path / "m", b"old")  # the folder is searched for temporary files by now
    calls = []
    for call in ("open", "write", "fsync", "link", "replace"):
        real = getattr(os, call)
        monkeypatch.setattr(os, call, lambda *a, real=real, call=call, **k: (calls.append(call), real(*a, **k))[1])
    write_atomic(tmp_path / "m", b"new")
    assert calls == ["open", "write", "fsync", *["link"] * unnamed, "replace", "open", "fsync"]


def test_mode_links_and_folders(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    write_atomic(real, b"1")
    real.chmod(0o640)
    link.symlink_to("real")
    write_atomic(link, b"2")
    assert link.is_symlink()
    assert real.read_bytes() == b"2"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "fresh", b"3")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640
    write_atomic(tmp_path / ("n" * 255), b"4")
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "no" / "m", b"5")
    with pytest.raises(OSError):
        write_atomic(tmp_path, b"6")
    assert sorted(os.listdir(tmp_path)) == sorted(["real", "link", "fresh", "n" * 255])


def test_kill_leaves_a_whole_model(tmp_path: Path) -> None:
    code = (
        "import sys, chainrule as cr\n"
        "models = [cr.nn.Linear(n, 300) for n in (200, 400)]\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for model in models: cr.save(model, sys.argv[1])\n"
    )
    path = tmp_path / "m"
    for delay in (0.0, 0.01, 0.023, 0.031):
        cr.save(nn.Linear(7, 1), path)
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert cr.load(path).in_features in (7, 200, 400)
