"""scikit-learn's checks of estimators, all of them, and its own tests of the MLP on the drop-ins."""

import inspect
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sklearn.neural_network
from sklearn.utils.estimator_checks import check_estimator

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor

# Of checks that ask for what is not there: an environment variable, a method that scikit-learn's class has not either.
SKIPPED = {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}
QUICK = {
    "classifier": lambda: MLPClassifier(max_iter=100),
    "regressor": lambda: MLPRegressor(max_iter=100),
}
# Not here, because scikit-learn's own estimators fail on the same checks: class_weight="balanced" with partial_fit, and
# SGD that has not converged (its fit of repeated rows is not that of weights).
FULL = {
    "classifier, all defaults": MLPClassifier,
    "classifier, lbfgs": lambda: MLPClassifier((20, 10), "tanh", solver="lbfgs"),
    "classifier, sgd": lambda: MLPClassifier((30,), solver="sgd", learning_rate="adaptive", learning_rate_init=0.1),
    "classifier, own": lambda: MLPClassifier((20, 20), ["gelu", cr.tanh], alpha=0.01, max_iter=150),
    "regressor, all defaults": MLPRegressor,
    "regressor, lbfgs": lambda: MLPRegressor("log_cosh", (20, 10), "tanh", solver="lbfgs"),
    "regressor, sgd": lambda: MLPRegressor(solver="sgd", learning_rate="adaptive"),
    "regressor, own": lambda: MLPRegressor("huber", (20, 20), ["mish", "selu"], delta=2.0, max_iter=150),
}


def passes_every_check(make: Callable[[], Any], record: Callable[[str, object], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(make(), on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] not in ("passed", "skipped")}
    assert failed == {}
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= SKIPPED
    assert len(results) > 50
    record("checks", len(results))


@pytest.mark.parametrize("make", QUICK.values(), ids=QUICK.keys())
def test_every_check(make: Callable[[], Any], record_property: Callable[[str, object], None]) -> None:
    passes_every_check(make, record_property)


@pytest.mark.full
@pytest.mark.parametrize("make", FULL.values(), ids=FULL.keys())
def test_every_check_of_other_configurations(
    make: Callable[[], Any], record_property: Callable[[str, object], None]
) -> None:
    passes_every_check(make, record_property)


# Tests of scikit-learn's own that cannot apply, with the reason.
PRIVATE = {
    "test_gradient": "calls _loss_grad_lbfgs, scikit-learn's own backpropagation; ours is tests/test_derivatives.py"
}


def peer_tests() -> ModuleType:
    """scikit-learn's tests of its MLP, of the installed version, with our classes in place of its own."""
    path = Path(inspect.getfile(sklearn.neural_network)).parent / "tests" / "test_mlp.py"
    source, count = re.subn(
        r"from sklearn\.neural_network import MLPClassifier, MLPRegressor",
        "from chainrule.sklearn import MLPClassifier, MLPRegressor",
        path.read_text(encoding="utf-8"),
    )
    assert count == 1
    module = ModuleType("peer_tests")
    exec(compile(source, str(path), "exec"), vars(module))
    assert module.MLPClassifier is MLPClassifier
    return module


@pytest.fixture
def global_random_seed() -> int:
    return 42


def adopt() -> None:
    """Give this file the tests of the peer: pytest collects and parametrizes them here."""
    quiet = pytest.mark.filterwarnings("ignore")
    for name, test in vars(peer_tests()).items():
        if name.startswith("test_") and name not in PRIVATE:
            globals()[f"test_peer_{name.removeprefix('test_')}"] = quiet(test)


adopt()
