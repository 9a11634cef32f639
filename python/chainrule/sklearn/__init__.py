"""Estimators with scikit-learn's interface: drop-ins for its `MLPClassifier` and `MLPRegressor`, and
`TabularClassifier` and `TabularRegressor`, which take any table and need no setting.

Needs scikit-learn 1.6 or newer, which the extra installs: `pip install chainrule[sklearn]`.
"""

from __future__ import annotations

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as _error:
    raise ImportError(
        "chainrule.sklearn: scikit-learn is not installed; pip install 'chainrule[sklearn]'", name="sklearn"
    ) from _error

from ._classifier import MLPClassifier
from ._regressor import MLPRegressor
from ._tabular import TabularClassifier, TabularRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor"]
