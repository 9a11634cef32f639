"""A failed sync of the folder is an error of the save: the new name may not outlive a power failure."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_an_error_of_the_folder_s_sync_is_raised(error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(error, os.strerror(error))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"m'$") as caught:
        cr.save({"w": np.arange(3, dtype=np.float32)}, tmp_path / "m")
    assert caught.value.errno == error
