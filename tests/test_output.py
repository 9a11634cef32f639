"""Output layers: layer, loss and link by kind of target (S2's table); detection of the kind."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.cli._target import decide_task
from chainrule.nn._output import KINDS, MAX_CLASSES, are_classes

N = 200
X = cr.random.Generator(seed=31).normal((N, 3))
SIGNAL = X @ np.asarray([[1.0, -2.0, 0.5], [0.5, 1.5, -1.0], [-1.5, 0.5, 1.0]], np.float32)
RATE = np.exp(SIGNAL[:, 0] * 0.5)
TARGETS: dict[str, Any] = {
    "binary": SIGNAL[:, 0] > 0.3,
    "multilabel": SIGNAL > 0.3,
    "multiclass": np.argmax(SIGNAL, 1),
    "continuous": SIGNAL[:, 0] * 2 + 5,
    "count": np.floor(RATE * 2),
}
COLUMNS = {"multilabel": 3, "multiclass": 3}


def trained(kind: str) -> tuple[nn.Output, nn.Sequential]:
    generator = cr.random.Generator(seed=32)
    output = nn.Output(kind, 8, COLUMNS.get(kind, 1), generator=generator)
    model = nn.Sequential(nn.Linear(3, 8, generator=generator), nn.Tanh(), output)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    y = output.targets(TARGETS[kind])
    history = cr.fit(model, X, y, loss=output.loss(), optimizer=optimizer, epochs=40, batch_size=20, seed=33)
    assert history.loss[-1] < history.loss[0]
    return output, model


def test_every_kind_is_learnt_and_linked_to_its_mean() -> None:
    means = {}
    for kind, y in TARGETS.items():
        output, model = trained(kind)
        means[kind] = output.link(model.predict(X)).numpy()
        assert means[kind].shape == (N, COLUMNS.get(kind, 1)), kind
        assert y.shape in ((N,), (N, 3))
    for kind in ("binary", "multilabel"):
        right = (means[kind] > 0.5) == np.asarray(TARGETS[kind]).reshape(N, -1)
        assert right.mean() > 0.93, kind
    np.testing.assert_allclose(means["multiclass"].sum(1), 1, rtol=1e-6)
    assert (np.argmax(means["multiclass"], 1) == TARGETS["multiclass"]).mean() > 0.93
    assert np.corrcoef(means["continuous"][:, 0], TARGETS["continuous"])[0, 1] > 0.99
    assert (means["count"] > 0).all()
    assert np.corrcoef(means["count"][:, 0], RATE)[0, 1] > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_negative_log_likelihood(kind: str) -> None:
    """Of the distribution whose mean is the link of the scores, up to terms that do not depend on the scores."""
    scores = np.asarray([[0.3, -1.2, 2.1], [1.5, 0.2, -0.4], [-0.6, 0.9, 0.1]])
    y = np.asarray([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    labels = np.asarray([2, 0, 1])
    mean = KINDS[kind].link(scores).numpy()
    likelihoods = {
        "binary": lambda: -np.log(np.where(y == 1, mean, 1 - mean)),
        "multilabel": lambda: -np.log(np.where(y == 1, mean, 1 - mean)),
        "multiclass": lambda: -np.log(mean[np.arange(3), labels]),
        "continuous": lambda: (y - mean) ** 2,  # of variance 1/2
        "count": lambda: mean - y * np.log(mean),
    }
    loss = nn.loss_for(kind, reduction="none")
    each = loss(cr.tensor(scores), cr.tensor(labels if kind == "multiclass" else y)).numpy()
    np.testing.assert_allclose(each, likelihoods[kind](), rtol=1e-12)


def test_the_table() -> None:
    """Row 45, and the link functions of row 46: P(y = 0) = 1 / (1 + e**phi)."""
    assert {kind: type(nn.loss_for(kind)).__name__ for kind in KINDS} == {
        "binary": "BCEWithLogitsLoss",
        "multilabel": "BCEWithLogitsLoss",
        "multiclass": "CrossEntropyLoss",
        "continuous": "MSELoss",
        "count": "PoissonNLLLoss",
    }
    phi = np.asarray([-2.0, 0.0, 0.7, 4.0])
    np.testing.assert_allclose(1 - nn.Output("binary", 2).link(phi).numpy(), 1 / (1 + np.exp(phi)), rtol=1e-12)
    for kind, row in KINDS.items():
        assert f'| "{kind}" | {row.distribution} |' in (nn.Output.__doc__ or "")


def test_targets_get_the_shape_of_the_scores() -> None:
    assert nn.Output("binary", 2).targets([True, False]).shape == (2, 1)
    assert nn.Output("multiclass", 2, 3).targets([2, 0]).tolist() == [2, 0]
    assert nn.Output("binary", 2, dtype=np.float64).targets([1, 0]).dtype == np.float64
    with pytest.raises(TypeError, match="Output: y must be real numbers"):
        nn.Output("continuous", 2).targets(["yes", "no"])
    for kind in ("multilabel", "continuous", "count"):
        assert nn.Output(kind, 2, 3).targets(np.ones((4, 3))).shape == (4, 3)


def test_an_output_layer_is_saved_with_its_kind(tmp_path: Any) -> None:
    _, model = trained("count")
    cr.save(model, tmp_path / "m")
    copy = cr.load(tmp_path / "m")
    assert copy[-1].kind == "count"
    assert copy[-1].link(copy.predict(X)).numpy().tobytes() == model[-1].link(model.predict(X)).numpy().tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("classes", 3),
            "Output: kind must be one of binary, multilabel, multiclass, continuous, count, got",
        ),
        (("binary", 3, 2), "Output: binary expects 1 score for each row, got out_features=2"),
        (("multiclass", 3), "Output: multiclass expects a score for each of 2 classes or more, got out_features=1"),
        (("count", 0), "in_features must be an integer of at least 1"),
    ],
)
def test_errors(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.Output(*arguments)
    with pytest.raises(ValueError, match="kind must be one of"):
        nn.loss_for("gan")


KIND_OF: tuple[tuple[Any, str], ...] = (
    ([0, 1, 1, 0], "binary"),
    ([-1.0, 1.0], "binary"),
    ([True, False], "binary"),
    (["yes", "no", "no"], "binary"),
    ([3, 1, 2, 3], "multiclass"),
    ([0.0, 1.0, 2.0], "multiclass"),
    ([f"class {i}" for i in range(30)], "multiclass"),
    (np.arange(20), "multiclass"),
    (np.arange(21), "continuous"),
    ([0.5, 1.5, 0.5], "continuous"),
    ([2.5, 2.5], "continuous"),
    ([[0], [1], [1]], "binary"),
    ([[0, 1], [1, 1]], "multilabel"),
    ([[True, False], [False, False]], "multilabel"),
    ([[0, 1], [1, 0]], "multiclass"),
    ([[0.25, 0.75], [0.5, 0.5]], "multiclass"),
    ([[0.25, 0.7], [0.5, 0.5]], "continuous"),
    ([[1.5, -0.5], [1.0, 0.0]], "continuous"),
    ([[2, 1], [0, 3]], "continuous"),
)


@pytest.mark.parametrize(("y", "kind"), KIND_OF, ids=[f"{kind}-{i}" for i, (_, kind) in enumerate(KIND_OF)])
def test_infer_kind(y: Any, kind: str) -> None:
    assert cr.infer_kind(y) == kind
    assert cr.infer_kind(np.asarray(y)) == kind


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([], r"expected \(n,\) or \(n, columns\) with rows, got shape \(0,\)"),
        (3.0, r"got shape \(\)"),
        (np.zeros((2, 2, 2)), r"got shape \(2, 2, 2\)"),
        ([0.5, np.nan], "every value must be finite"),
        ([1, 1, 1], "the only value is 1; there is nothing to learn"),
        (["a", "a"], "the only value is a"),
        ([["a", "b"]], "columns of text have no kind"),
    ],
)
def test_infer_kind_rejects(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^infer_kind: .*{message}"):
        cr.infer_kind(y)


def test_the_command_line_decides_by_the_same_rule() -> None:
    """decide_task reads texts; where there are four rows of each, the same targets are classes as for infer_kind."""
    for values in ([0, 1, 1], list(range(MAX_CLASSES)), list(range(MAX_CLASSES + 1)), [0.5, 2.0], [1.0, 3.0, 7.0]):
        task = decide_task([str(value) for value in values] * 4, None, "here")
        assert (task == "classification") == are_classes(values)
        assert (task == "classification") == (cr.infer_kind(values) != "continuous")


LABELS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "texts": (["b", "a", "c", "b"], ("a", "b", "c")),
    "integers": ([7, -2, 30, 7], (-2, 7, 30)),
    "large": ([2**53, 2**53 + 1, 2**62, 2**53], (2**53, 2**53 + 1, 2**62)),
    "unsigned": (np.array([9, 1, 200, 9], np.uint8), (1, 9, 200)),
    "whole floats": ([1.0, 2.0, 3.0, 1.0], (1.0, 2.0, 3.0)),
    "objects": (np.array(["b", "a", "c", "b"], object), ("a", "b", "c")),
    "column": ([["b"], ["a"], ["c"], ["b"]], ("a", "b", "c")),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_any_kind_are_named(name: str, tmp_path: Any) -> None:
    y, names = LABELS[name]
    output = nn.Output("multiclass", 2, 3)
    codes = output.targets(y)
    assert output.classes == names
    assert [names[code] for code in codes] == np.reshape(y, -1).tolist()
    assert output.targets(y).tolist() == codes.tolist()
    cr.save(nn.Sequential(output), tmp_path / "m")
    copy = cr.load(tmp_path / "m")[0]
    assert copy.classes == names
    assert [type(name) for name in copy.classes] == [type(name) for name in names]
    scores = np.eye(3)[[2, 0, 1]]
    assert copy.labels(scores).tolist() == [names[2], names[0], names[1]]
    with pytest.raises(ValueError, match=r"^Output: y\[1\] is .*, none of the classes"):
        copy.targets([np.reshape(y, -1)[0], "z" if isinstance(names[0], str) else 1000])


def test_two_classes_are_named() -> None:
    for y, names in (
        ([True, False, True], (False, True)),
        (["no", "yes", "yes"], ("no", "yes")),
        ([-1, 1, 1], (-1, 1)),
    ):
        output = nn.Output("binary", 2)
        assert output.targets(y).tolist() == [[float(value == names[1])] for value in y]
        assert output.classes == names
        assert output.labels([[0.3], [-0.2]]).tolist() == [names[1], names[0]]
    plain = nn.Output("binary", 2)
    assert plain.targets([0.25, 1.0]).tolist() == [[0.25], [1.0]]
    assert plain.classes is None
    assert plain.labels([[0.3], [-0.2]]).tolist() == [1, 0]
    assert nn.Output("multilabel", 2, 2).labels([[0.3, -0.2]]).tolist() == [[1, 0]]
    assert nn.Output("binary", 2, classes=["yes", "no"]).targets(["yes", "no"]).tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Output("multiclass", 2, 3).targets(["a", "b"]), "y has 2 different labels, the output layer has 3"),
        (lambda: nn.Output("binary", 2).targets(["a", "b", "c"]), "y has 3 different labels"),
        (lambda: nn.Output("multiclass", 2, 2).targets(np.array(["a", None], object)), r"y\[1\] is None: a missing"),
        (lambda: nn.Output("multiclass", 2, 2).targets(np.array(["a", np.nan], object)), r"y\[1\] is nan: a missing"),
        (lambda: nn.Output("multiclass", 2, 2).targets(np.array(["a", 1], object)), "texts and numbers"),
        (lambda: nn.Output("multiclass", 2, 2).targets([0.5, 1.0]), r"y\[0\] is 0.5, class labels must be whole"),
        (lambda: nn.Output("continuous", 2, classes=["a", "b"]), "classes are those of binary and multiclass"),
        (lambda: nn.Output("binary", 2, classes=["a"]), "classes has 1 names, expected 2"),
        (lambda: nn.Output("binary", 2, classes=["a", "a"]), "must be different names"),
        (lambda: nn.Output("binary", 2, classes=["a", 1]), "must be of one kind"),
        (lambda: nn.Output("binary", 2, classes="ab"), "must be a list of 2 names"),
        (lambda: nn.Output("continuous", 2).labels([[1.0]]), "have no labels"),
        (lambda: nn.Output("binary", 2).labels([1.0]), "scores have shape"),
    ],
)
def test_labels_that_cannot_be_named(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
