"""Model files: safetensors with the model's structure in the header."""

from __future__ import annotations

from ._model_files import ModelFormatError, load, save

__all__ = ["ModelFormatError", "load", "save"]
