"""Losses of pairs, several labels and positions: PyTorch's values, extreme arguments, what is refused."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr

A = np.array([[0.5, -1.25, 2.0], [1.0, 0.25, -0.75], [-2.0, 0.125, 1.5], [0.75, 3.0, -0.5]])
B = np.array([[1.5, 0.5, -1.0], [0.25, -2.0, 0.75], [1.25, -0.5, 2.5], [-0.25, 1.0, 0.5]])
C = A[::-1] * 0.5 + B * 0.25
SIGNS = np.where(A * B > 0, 1.0, -1.0)
BITS, ROWS, W = (SIGNS + 1) / 2, np.array([1.0, -1.0, -1.0, 1.0]), np.array([0.5, 2.0, 1.25])
LABELS, POSITIONS = np.array([[2, 0], [1, -100], [0, 1]]), np.stack([A[:3], B[:3]], 2)

# The means of PyTorch 2.13 in float64.
PYTORCH: list[tuple[str, tuple[Any, ...], dict[str, Any], float]] = [
    ("soft_margin_loss", (A, SIGNS), {}, 0.5937068213576718),
    ("hinge_embedding_loss", (A, SIGNS), {"margin": 0.4}, 1.04375),
    ("margin_ranking_loss", (A, B, SIGNS), {"margin": 0.3}, 0.8895833333333334),
    ("cosine_embedding_loss", (A, B, ROWS), {"margin": 0.1}, 0.4421848561870778),
    ("triplet_margin_loss", (A, B, C), {"swap": True}, 2.2489286997584172),
    ("multilabel_soft_margin_loss", (A, BITS), {"weight": W}, 0.7316908516507726),
    ("binary_cross_entropy_with_logits", (A, BITS), {"weight": W}, 0.7316908516507725),
    ("binary_cross_entropy", (1 / (1 + np.exp(-A)), BITS), {"weight": W}, 0.7316908516507725),
    (
        "cross_entropy",
        (POSITIONS, LABELS),
        {"weight": W, "label_smoothing": 0.1, "ignore_index": -100},
        1.8234413852005762,
    ),
    ("nll_loss", (POSITIONS, LABELS), {"ignore_index": -100}, -0.25),
    ("cross_entropy", (A[0], np.array(2)), {}, 0.23262198310203266),
    ("cross_entropy", (POSITIONS, np.abs(POSITIONS)), {"weight": W}, 6.897190520037732),
]


@pytest.mark.parametrize(("name", "arguments", "options", "expected"), PYTORCH)
def test_values_of_pytorch(name: str, arguments: Any, options: dict[str, Any], expected: float) -> None:
    found = getattr(cr, name)(*arguments, **options)
    assert found.item() == pytest.approx(expected, rel=1e-13)
    module = next(m for m in cr.nn.LAYERS.values() if getattr(m, "function", None) is getattr(cr, name))
    assert module(**options)(*arguments).item() == found.item()
    compiled = cr.compile(lambda *x: getattr(cr, name)(*x, **options))
    assert compiled(*(cr.tensor(x) for x in arguments)).item() == found.item()


def test_losses_have_the_shape_of_the_labels() -> None:
    for options in ({}, {"label_smoothing": 0.2}, {"weight": W}):
        found = cr.cross_entropy(POSITIONS, LABELS, "none", ignore_index=-100, **options)
        assert found.shape == (3, 2)
        assert found[1, 1].item() == 0.0
        for i, j in ((0, 0), (0, 1), (2, 1)):
            alone = cr.cross_entropy(POSITIONS[i, :, j], LABELS[i, j], "none", **options)
            assert alone.shape == ()
            assert alone.item() == found[i, j].item()
    assert cr.focal_loss(POSITIONS, LABELS, "none", ignore_index=-100).shape == (3, 2)
    twice = cr.nll_loss(POSITIONS, LABELS, "sum", ignore_index=-100, sample_weight=[1.0, 2.0, 0.0]).item()
    rows = [cr.nll_loss(POSITIONS[i : i + 1], LABELS[i : i + 1], "sum", ignore_index=-100).item() for i in range(2)]
    assert twice == rows[0] + 2 * rows[1]
    assert cr.cross_entropy(POSITIONS, np.full((3, 2), 7), ignore_index=7).item() == 0.0


def test_compiled_steps_see_which_labels_are_ignored() -> None:
    weight = cr.nn.Parameter(A[:3])
    step = cr.compile(lambda t: cr.cross_entropy(weight * 1.0, t, ignore_index=-1))
    for labels in ([2, 0, 1], [2, -1, 1], [-1, -1, 0]):
        expected = cr.cross_entropy(A[:3], np.array(labels), ignore_index=-1)
        assert step(cr.tensor(np.array(labels))).item() == expected.item()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_is_nan_where_the_value_is_a_number(dtype: Any) -> None:
    big, tiny = (1e30, 1e-30) if dtype is np.float32 else (1e200, 1e-200)
    x = cr.tensor(np.array([[3.0, 4.0], [-4.0, 3.0], [0.0, 0.0]], dtype), requires_grad=True)
    for scale in (big, 1.0, tiny):
        y = cr.normalize(x * scale, eps=0.0 if scale == tiny else 1e-12)[:2]
        np.testing.assert_allclose(y.numpy(), [[0.6, 0.8], [-0.8, 0.6]], rtol=1e-6)
    near = cr.cosine_similarity(x * big, cr.tensor(np.array([[big, 0.0]] * 3, dtype)))
    np.testing.assert_allclose(near.numpy(), [0.6, -0.8, 0.0], rtol=1e-6)
    cases = (
        cr.sum(cr.normalize(x)),
        cr.sum(cr.cosine_similarity(x, x)),
        cr.sum(cr.pairwise_distance(x, x, eps=0.0)),
        cr.cosine_embedding_loss(x, x * 2.0, np.array([1.0, -1.0, 1.0])),
        cr.triplet_margin_loss(x, x, x, eps=0.0),
    )
    for loss in cases:
        x.grad = None
        loss.backward()
        assert np.isfinite(loss.numpy()).all()
        assert np.isfinite(x.grad.numpy()).all()
    far = cr.tensor(np.array([-1e30, -800.0, 0.0, 800.0, 1e30], dtype), requires_grad=True)
    for gamma in (0.0, 0.5, 2.0):
        loss = cr.sigmoid_focal_loss(far, np.array([1.0, 0.0, 1.0, 1.0, 0.0]), "sum", gamma=gamma)
        classes = cr.focal_loss(cr.stack([far, -far * 0.5], 1), np.array([0, 1, 1, 0, 1]), "sum", gamma=gamma)
        far.grad = None
        (loss + classes).backward()
        assert np.isfinite((loss.item(), classes.item())).all()
        assert np.isfinite(far.grad.numpy()).all()
    infinite = cr.binary_cross_entropy_with_logits(np.array([np.inf, 0.0]), np.array([0.0, 1.0]), weight=[0.0, 1.0])
    assert infinite.item() == pytest.approx(np.log(2) / 2)


REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("cross_entropy", (A, np.array([0, 1, -100, 2])), {}, r"label -100 at row 2 is out of range .*ignore_index=-100"),
    ("cross_entropy", (POSITIONS, LABELS[:2]), {}, r"got \(3, 3, 2\) and \(2, 2\)"),
    ("cross_entropy", (A[0], np.array([1, 0, 2])), {}, r"got \(3,\) and \(3,\)"),
    ("binary_cross_entropy", (A * 0 + 0.5, BITS), {"weight": [1.0, 2.0]}, r"weight has shape \(2,\), which does not"),
    ("margin_ranking_loss", (A, B, BITS), {}, "is neither -1 nor 1"),
    ("margin_ranking_loss", (A, B[:2], SIGNS), {}, r"\(4, 3\), target \(2, 3\)"),
    ("cosine_embedding_loss", (A, B, ROWS), {"margin": 1.5}, "margin must be from -1 to 1, got 1.5"),
    ("cosine_embedding_loss", (A[None], B[None], ROWS), {}, r"expected vectors \(n, features\)"),
    ("triplet_margin_loss", (A, B, C), {"p": -3}, "p must be a finite number above 0, got -3"),
    ("sigmoid_focal_loss", (A, BITS), {"gamma": -1.0}, "gamma"),
    ("sigmoid_focal_loss", (A, BITS), {"alpha": 2.0}, "alpha must be at most 1, got 2"),
    ("multilabel_soft_margin_loss", (A, BITS), {"weight": [1.0]}, r"weight has shape \(1,\)"),
    ("normalize", (A,), {"axis": 2}, r"axis 2 is out of range for shape \(4, 3\)"),
    ("cosine_similarity", (A, A[:, :1]), {}, "the vectors have 3 and 1 elements along axis 1"),
    ("pairwise_distance", (1.0, 2.0), {}, "expected vectors"),
]


@pytest.mark.parametrize(("name", "arguments", "options", "message"), REFUSED)
def test_refusals(name: str, arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(cr, name)(*arguments, **options)
