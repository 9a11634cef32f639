"""The one device, in PyTorch's words: `device("cuda" if cuda.is_available() else "cpu")`."""

from __future__ import annotations

__all__ = ["check_device", "cuda", "device"]


class device(str):  # noqa: N801  # PyTorch's name
    """The CPU, the only device: `x.to(device)` returns x.

    Errors: ValueError for another device.

    >>> import chainrule as cr
    >>> device = cr.device("cuda" if cr.cuda.is_available() else "cpu")
    >>> device, device.type
    (device(type='cpu'), 'cpu')
    """

    __slots__ = ()

    def __new__(cls, name: str = "cpu") -> device:
        if str(name).partition(":")[0] != "cpu":
            raise ValueError(f"device: there is no device {str(name)!r}: chainrule computes on the CPU")
        return super().__new__(cls, "cpu")

    @property
    def type(self) -> str:
        """The word "cpu"."""
        return "cpu"

    def __repr__(self) -> str:
        return "device(type='cpu')"


def check_device(name: object) -> None:
    """Raise ValueError for another device than the CPU, or None."""
    if name is not None:
        device(str(name))


class cuda:  # noqa: N801  # PyTorch's name of a module
    """What programs ask PyTorch of GPUs: there are none.

    >>> import chainrule as cr
    >>> cr.cuda.is_available(), cr.cuda.device_count()
    (False, 0)
    """

    @staticmethod
    def is_available() -> bool:
        """False."""
        return False

    @staticmethod
    def device_count() -> int:
        """0."""
        return 0

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        """Do nothing: no device has a generator of its own."""
