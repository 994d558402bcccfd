"""Write files whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Buffer, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bayeslaw.core.errors import InputError, shown

if TYPE_CHECKING:
    import xarray as xr


_ROOM = "free some space or choose another place"
_REASONS = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("File too large for the limit that is set here, see ulimit -f", _ROOM),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def write_bytes(path: str | Path, content: Buffer) -> Path:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : path
    content : bytes or the like

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file cannot be written, as on a full disk. What stood there is then untouched, and nothing is
        left beside it.
    """
    path = check_place(path)
    # Short, so that it fits wherever the name itself does.
    temporary = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise cannot(f"{path}: cannot be written", error) from None
    finally:
        with suppress(OSError, ValueError):
            temporary.unlink()
    return path


def cannot(what: str, error: OSError | ValueError) -> InputError:
    """Say what cannot be done, why, and what to do instead."""
    plain = getattr(error, "strerror", None) or str(error), "choose another place"
    reason, remedy = _REASONS.get(getattr(error, "errno", None), plain)
    return InputError(f"{what} ({reason}); {remedy}.")


def write_text(path: str | Path, text: str) -> Path:
    r"""Write a text file in UTF-8, whole or not at all; what UTF-8 does not have is written as ``\ud800``."""
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_study(study: xr.Dataset, path: str | Path, table: Callable[[], str]) -> Path:
    """Write what a study found, whole or not at all.

    Parameters
    ----------
    study : xarray.Dataset
    path : path
        ``.csv``: `table`. Anything else: netCDF, for `xarray.open_dataset`.
    table : callable
        Returns the study as CSV.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    path = as_path(path)
    if path.suffix == ".csv":
        return write_text(path, table())
    from bayeslaw.core.storage import lasting, storable

    return write_bytes(path, storable(lasting(study)).to_netcdf(engine="h5netcdf"))


def as_path(path: object, what: str = "path") -> Path:
    """Return a path, or refuse what is none.

    Parameters
    ----------
    path : str or path
    what : str
        What to call it in the message.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
    """
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if isinstance(name, str) and name and "\0" not in name:
        return Path(name)
    raise InputError(f"{what}: found {shown(name)}, allowed: the path of a file.")


def check_place(path: str | Path) -> Path:
    """Refuse, before any work is done, a path that could not or should not be written afterwards.

    Parameters
    ----------
    path : path
        Of a file.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If its folder does not exist or takes no files, or something stands there that is no regular
        file, or one that must not be changed. A symbolic link is refused, too: a file that is
        written whole takes the link's own place, and what it pointed to would stay as it was.
    """
    path = as_path(path)
    try:
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: cannot be written: give a file's name in a folder that exists.")
        there = path.lstat()
    except FileNotFoundError:
        there = None
    except OSError as error:
        raise cannot(f"{path}: cannot be written", error) from None
    if there is not None and not stat.S_ISREG(there.st_mode):
        kind = _KINDS.get(stat.S_IFMT(there.st_mode), "no regular file")
        raise InputError(f"{path}: cannot be written: it is {kind}; give the name of a file.")
    if there is not None and not there.st_mode & _WRITABLE:
        raise InputError(
            f"{path}: cannot be written: it is read-only; choose another name, or make it writable."
        )
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written: its folder takes no new files; choose another place.")
    return path
