"""Plots of the experiments: ``python -m chainrule.examples.plots FOLDER`` writes SVG files (requires matplotlib)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import experiments
from .gan import gan as trained_gan
from .shapes import sawtooth

__all__ = ["PLOTS", "draw", "main"]


def steep_logistic(axes: Any) -> None:
    """Logistic curves by steepness."""
    from ..ops import sigmoid

    z = np.linspace(-2, 2, 201)
    for k in (1.0, 4.0, 16.0, 64.0):
        axes.plot(z, sigmoid(k * z).numpy(), label=f"σ({k:g} z)")
    axes.set(xlabel="z", title="a steep logistic unit is a threshold")
    axes.legend()


def saturation(axes: Any) -> None:
    """Gradient norms by layer."""
    found = experiments.saturation()
    for name, norms in found.gradients.items():
        axes.semilogy(range(1, len(norms) + 1), norms, "o-", label=name)
    axes.set(xlabel="layer", ylabel="norm of the weights' gradient", title="gradients through eight layers")
    axes.legend()


def sawtooth_gradients(axes: Any) -> None:
    """Sawtooth functions by depth."""
    x = np.linspace(-0.25, 1.25, 1201)[:, None]
    for row, depth in enumerate((1, 2, 3, 5)):
        axes.plot(x, sawtooth(depth).predict(x) - 1.4 * row)
        axes.text(1.3, -1.4 * row, f"depth {depth}, slope {2**depth}")
    axes.set(xlabel="x", xlim=(-0.25, 1.9), yticks=[], title="each layer doubles teeth and slope")


def width(axes: Any) -> None:
    """Errors by width."""
    found = experiments.width()
    floor = 1e-12
    axes.loglog(found.widths, found.wave_error, "o-", label="a wave")
    axes.loglog(found.widths, np.maximum(found.sawtooth_error, floor), "s-", label="sawtooth of 32 slopes")
    axes.loglog([found.deep_units], [floor], "*", markersize=12, label="the same, five hidden layers")
    axes.set(xlabel="relu units", ylabel=f"mean squared error (at least {floor:g})", title="width and depth")
    axes.legend(loc="center left")


def overfitting(axes: Any) -> None:
    """Fits of nets of three widths to twelve rows."""
    found = experiments.overfitting()
    axes.plot(found.grid, found.truth, "k--", label="truth")
    axes.plot(found.x, found.y, "ko")
    for units, curve, error in zip(found.widths, found.curves, found.test_loss, strict=True):
        axes.plot(found.grid, curve, label=f"{units} tanh unit{'s' * (units > 1)}, test error {error:.3f}")
    axes.set(ylim=(-0.8, 2.4), title="a large net learns the noise")
    axes.legend(loc="upper left")


def scaling(axes: Any) -> None:
    """Losses on raw and on standardised features."""
    found = experiments.scaling()
    axes.plot(found.raw, label=f"raw, rate {found.raw_rate:g}")
    axes.plot(found.standardised, label=f"standardised, rate {found.standardised_rate:g}")
    axes.set(xlabel="step", ylabel="loss", title="columns of scale 1 and 40, each at its best rate")
    axes.legend()


def validation_curve(axes: Any) -> None:
    """Errors by degree."""
    found = experiments.validation_curve()
    axes.semilogy(found.degrees, found.train_loss, "o-", label="on the rows fitted")
    axes.semilogy(found.degrees, found.validation_loss, "s-", label="on others")
    axes.set(xlabel="degree", ylabel="mean squared error", title="under- and overfitting polynomials")
    axes.legend()


def restarts(axes: Any) -> None:
    """Final losses of random initialisations."""
    found = experiments.restarts()
    axes.plot(range(1, len(found.losses) + 1), found.losses, "o")
    title = f"XOR by 2 tanh units: {found.solved} of {len(found.losses)} starts solve it"
    axes.set(xlabel="starts, best first", ylabel="last loss", title=title)


def gan(axes: Any) -> None:
    """Histogram of a generator's samples."""
    axes.hist(trained_gan().samples, bins=60, range=(-4, 4))
    axes.set(xlabel="x", title="a generator that saw two bumps")


PLOTS: dict[str, Callable[[Any], None]] = {
    plot.__name__: plot
    for plot in (
        steep_logistic,
        saturation,
        sawtooth_gradients,
        width,
        overfitting,
        scaling,
        validation_curve,
        restarts,
        gan,
    )
}


def draw(name: str, path: Path) -> None:
    """Write one plot of `PLOTS` as a reproducible SVG file."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "path.simplify": True}):
        figure = Figure(figsize=(5, 3.2), layout="constrained")
        PLOTS[name](figure.add_subplot())
        figure.savefig(path, format="svg", metadata={"Date": None})


def main(argv: list[str] | None = None) -> int:
    """Write all plots into the folder."""
    parser = argparse.ArgumentParser(prog="python -m chainrule.examples.plots", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in PLOTS:
        draw(name, folder / f"{name}.svg")
        print(folder / f"{name}.svg")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
