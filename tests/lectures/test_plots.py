"""The plots of the experiments: their contents and, if matplotlib is installed, their files."""

from importlib.util import find_spec
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

from chainrule.examples import experiments, plots


@pytest.mark.parametrize("name", plots.PLOTS)
def test_a_plot_has_finite_values_and_a_title(name: str) -> None:
    axes = MagicMock()
    plots.PLOTS[name](axes)
    assert axes.set.call_args.kwargs["title"]
    drawn = [call for call in axes.mock_calls if call[0] in ("plot", "semilogy", "loglog", "hist")]
    assert drawn
    for _, arguments, _ in drawn:
        for values in arguments:
            if not isinstance(values, str):
                assert np.isfinite(np.asarray(values, float)).all() and np.size(values)


def test_every_experiment_has_a_plot() -> None:
    found = {name for name in experiments.__all__ if name.islower()}
    assert found == set(plots.PLOTS) - {"gan"}


def test_the_command_writes_every_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = {}
    monkeypatch.setattr(plots, "draw", lambda name, path: written.update({name: path}))
    assert plots.main([str(tmp_path / "new")]) == 0
    assert written == {name: tmp_path / "new" / f"{name}.svg" for name in plots.PLOTS}


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_files_are_reproducible(tmp_path: Path) -> None:
    texts = []
    for i in range(2):
        plots.draw("steep_logistic", tmp_path / f"{i}.svg")
        texts.append((tmp_path / f"{i}.svg").read_text())
    assert texts[0] == texts[1]
    assert texts[0].startswith("<?xml") and "threshold" in texts[0]
