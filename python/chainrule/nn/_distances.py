"""Layers that compare vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ..ops._names import by_dim
from ._module import Module

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..ops._names import Dim


class CosineSimilarity(Module):
    """Cosine of the angle between vectors, `cr.cosine_similarity`.

    Arguments: `axis`, also named `dim`, that of the vectors, 1 as in PyTorch; `eps`, at least 0.
    Input: x1 and x2, whose shapes broadcast. Output: the shape without the axis.

    >>> import chainrule as cr
    >>> cr.nn.CosineSimilarity()(cr.tensor([[3.0, 4.0]]), cr.tensor([[4.0, 3.0]])).numpy()
    array([0.96000004], dtype=float32)
    """

    def __init__(self, axis: int = 1, eps: float = 1e-8, **names: Unpack[Dim]) -> None:
        self.axis = int(by_dim("CosineSimilarity", names, axis, default=1)[0])
        self.eps = check_number("CosineSimilarity: eps", eps)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return ops.cosine_similarity(x1, x2, self.axis, self.eps)

    def config(self) -> dict[str, Any]:
        return {"axis": self.axis, "eps": self.eps}


class PairwiseDistance(Module):
    """Distance of vectors along the last axis, `cr.pairwise_distance`.

    Arguments: `p`, the norm, 1, 2 or inf; `eps`, added to the differences; `keepdim`, keep the last axis, of length 1.
    Input: x1 and x2, whose shapes broadcast. Output: the shape without the last axis.

    >>> import chainrule as cr
    >>> cr.nn.PairwiseDistance(eps=0.0)(cr.tensor([[1.0, 2.0]]), cr.tensor([[4.0, 6.0]])).numpy()
    array([5.], dtype=float32)
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.p, self.eps, self.keepdim = float(p), check_number("PairwiseDistance: eps", eps), bool(keepdim)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return ops.pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)

    def config(self) -> dict[str, Any]:
        return {"p": self.p, "eps": self.eps, "keepdim": self.keepdim}


if not TYPE_CHECKING:
    __all__ = own_names(globals())
