"""PyTorch's names of functions that mean the same, in one place."""

from ._activations import clip as clamp
from ._matmul import matmul as bmm
from ._matmul import matmul as mm
from ._rearrange import expand_dims as unsqueeze
from ._shape import concatenate as cat
from ._shape import transpose as permute

__all__ = ["bmm", "cat", "clamp", "mm", "permute", "unsqueeze"]
