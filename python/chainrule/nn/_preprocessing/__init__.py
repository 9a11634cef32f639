"""Preprocessing layers: fitted to the training data, saved with the model."""

from __future__ import annotations

from .base import Preprocessing, Standardize, fit_preprocessing, split_preprocessing
from .features import PolynomialFeatures, RBFFeatures
from .one_hot import OneHot
from .pca import PCA, Whiten

__all__ = [
    "PCA",
    "OneHot",
    "PolynomialFeatures",
    "Preprocessing",
    "RBFFeatures",
    "Standardize",
    "Whiten",
    "fit_preprocessing",
    "split_preprocessing",
]
