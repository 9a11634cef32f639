"""IDX files, the format of MNIST and Fashion-MNIST, gzip or plain.

Layout: two zero bytes, a dtype code, the number of axes, one big-endian uint32 per axis, then the values in C order,
big-endian. Memory grows with the bytes read, never with the sizes that the header claims.
"""

from __future__ import annotations

import os
import zlib
from gzip import BadGzipFile
from io import BufferedIOBase
from math import prod

import numpy as np
import numpy.typing as npt

from ._errors import DataError
from ._streams import open_plain

__all__ = ["load_idx_folder", "read_idx"]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CHUNK = 1 << 20

Images = npt.NDArray[np.generic]
Labels = npt.NDArray[np.int64]


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.generic]:
    """Read one IDX file into an array of the file's dtype, in native byte order.

    Arguments: `path`, a file, gzip or plain.
    Returns: an ndarray (uint8, int8, int16, int32, float32 or float64) of the shape in the file's header.
    Errors: `DataError` naming the file when it is damaged, too short or too long; OSError when it cannot be read.

    >>> import pathlib, tempfile
    >>> from chainrule.data import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 9]))
    ...     read_idx(path)
    array([7, 2, 9], dtype=uint8)
    """
    name = os.fspath(path)
    try:
        with open_plain(name) as stream:
            return _parse(stream, name)
    except (EOFError, zlib.error, BadGzipFile) as error:
        raise DataError(f"{name}: damaged gzip data ({error})") from None


def _parse(stream: BufferedIOBase, name: str) -> npt.NDArray[np.generic]:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES:
        found = f"begins with bytes {head.hex(' ')}" if head else "is empty"
        raise DataError(f"{name}: not an IDX file, {found}; expected 00 00 and a dtype code")
    dtype, ndim = np.dtype(_DTYPES[head[2]]), head[3]
    raw_shape = stream.read(4 * ndim)
    if not 1 <= ndim <= 32 or len(raw_shape) < 4 * ndim:
        raise DataError(f"{name}: not an IDX file, {ndim} axes in a header of {4 + len(raw_shape)} bytes")
    shape = tuple(int(size) for size in np.frombuffer(raw_shape, dtype=">u4"))
    expected = prod(shape) * dtype.itemsize
    data = bytearray()
    while len(data) <= expected:
        chunk = stream.read(min(_CHUNK, expected + 1 - len(data)))
        if not chunk:
            break
        data += chunk
    if len(data) != expected:
        found = "more" if len(data) > expected else f"{len(data)}"
        raise DataError(f"{name}: {dtype.name} of shape {shape} needs {expected} bytes of values, the file has {found}")
    return np.frombuffer(data, dtype=dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def load_idx_folder(folder: str | os.PathLike[str]) -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Read the four files of a data set in MNIST's format: training images and labels, test images and labels.

    The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`, each plain or with `.gz`.

    Arguments: `folder`, their directory.
    Returns: `((train_images, train_labels), (test_images, test_labels))`; images of shape (n, height, width) in the
    file's dtype, labels int64 of shape (n,).
    Errors: `DataError` naming a missing or damaged file, or shapes that do not match.

    >>> from chainrule.data import load_idx_folder
    >>> load_idx_folder("there/is/nothing/here")
    Traceback (most recent call last):
        ...
    chainrule.data.DataError: there/is/nothing/here: no such folder
    """
    where = os.fspath(folder)
    if not os.path.isdir(where):
        raise DataError(f"{where}: no such folder")
    paths = [_find(where, stem) for stem in _FILES]
    train_images, train_labels, test_images, test_labels = (read_idx(path) for path in paths)
    train = _pair(train_images, train_labels, paths[0], paths[1])
    test = _pair(test_images, test_labels, paths[2], paths[3])
    if train_images.shape[1:] != test_images.shape[1:]:
        shapes = f"training images have shape {train_images.shape[1:]}, test images {test_images.shape[1:]}"
        raise DataError(f"{where}: {shapes}; expected equal shapes")
    return train, test


def _find(folder: str, stem: str) -> str:
    for suffix in ("", ".gz"):
        path = os.path.join(folder, stem + suffix)
        if os.path.isfile(path):
            return path
    raise DataError(f"{folder}: contains neither {stem} nor {stem}.gz")


def _pair(
    images: npt.NDArray[np.generic], labels: npt.NDArray[np.generic], images_path: str, labels_path: str
) -> tuple[Images, Labels]:
    if images.ndim < 2 or 0 in images.shape:
        raise DataError(f"{images_path}: shape is {images.shape}, expected images (n, ...) without empty axes")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{labels_path}: expected integer labels of shape (n,), got {labels.dtype} of {labels.shape}")
    if len(images) != len(labels):
        raise DataError(f"{labels_path}: {len(labels)} labels for {len(images)} images in {images_path}")
    return images, labels.astype(np.int64)
