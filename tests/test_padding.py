"""Layers that pad images and signals, and those that cut them into windows, against NumPy and the functions."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

MODES = {"Zero": "constant", "Constant": "constant", "Reflection": "reflect", "Replication": "edge"}


@pytest.mark.parametrize("kind", MODES)
@pytest.mark.parametrize("axes", [1, 2])
def test_pads(kind: str, axes: int) -> None:
    layer = getattr(nn, f"{kind}Pad{axes}d")
    rng = np.random.default_rng(5)
    value = (2.5,) if kind == "Constant" else ()
    options = {"constant_values": 2.5} if value else {}
    for padding in (1, 2, (2, 1), (0, 3), (1, 2, 0, 3), (0, 0, 1, 0)):
        if not isinstance(padding, int) and len(padding) != 2 * axes:
            continue
        given = (padding,) * 2 * axes if isinstance(padding, int) else padding
        widths = [(given[2 * i], given[2 * i + 1]) for i in reversed(range(axes))]
        for rest in ((3,), (2, 3)):
            x = rng.standard_normal((*rest, *(4, 5)[:axes]))
            expected = np.pad(x, [(0, 0)] * len(rest) + widths, MODES[kind], **options)  # type: ignore[call-overload]
            np.testing.assert_array_equal(layer(padding, *value)(cr.tensor(x)).numpy(), expected)
            assert cr.gradcheck(layer(padding, *value), (x,))


def test_elements_that_are_taken_away() -> None:
    x = np.arange(12.0).reshape(1, 3, 4)
    assert nn.ZeroPad2d((-1, 0, 0, -1))(cr.tensor(x)).tolist() == x[:, :2, 1:].tolist()
    with pytest.raises(ValueError, match="ReflectionPad2d: padding must be at least 0, got -1"):
        nn.ReflectionPad2d(-1)
    with pytest.raises(ValueError, match="ZeroPad1d: padding must be one number or 2"):
        nn.ZeroPad1d((1, 2, 3))
    with pytest.raises(ValueError, match=r"ZeroPad2d: x must be \(n, channels, h, w\) or"):
        nn.ZeroPad2d(1)(cr.tensor([[1.0]]))


def test_windows() -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 5, 6))
    options = {"kernel_size": (2, 3), "dilation": 1, "padding": (1, 0), "stride": 2}
    columns = nn.Unfold(**options)(cr.tensor(x))
    assert columns.tolist() == cr.unfold(x, **options).tolist()
    folded = nn.Fold((5, 6), **options)(columns)
    assert folded.tolist() == cr.fold(columns, (5, 6), **options).tolist()


def test_upsampling() -> None:
    x = cr.tensor(np.random.default_rng(1).standard_normal((2, 3, 4, 5)))
    nearest, linear = nn.UpsamplingNearest2d(scale_factor=2), nn.UpsamplingBilinear2d(size=(7, 3))
    assert nearest(x).tolist() == nn.Upsample(scale_factor=2)(x).tolist()
    assert linear(x).tolist() == nn.Upsample((7, 3), mode="bilinear", align_corners=True)(x).tolist()
    with pytest.raises(ValueError, match="UpsamplingNearest2d: x must be"):
        nearest(x[0])


def test_distances() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 3, 4))
    assert nn.CosineSimilarity(dim=0, eps=1e-6)(a, b).tolist() == cr.cosine_similarity(a, b, 0, 1e-6).tolist()
    found = nn.PairwiseDistance(1, 0.5, keepdim=True)(a, b)
    assert found.tolist() == cr.pairwise_distance(a, b, 1, 0.5, True).tolist()
    np.testing.assert_allclose(nn.PairwiseDistance()(a, b).numpy(), np.linalg.norm(a - b + 1e-6, axis=1))
