"""Saving and loading of models: safetensors files with the architecture in the metadata."""

from __future__ import annotations

from ._model_files import ModelFormatError, load, save

__all__ = ["ModelFormatError", "load", "save"]
