"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Buffer, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bayeslaw.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

_ROOM = "free some space or choose another place"
_REASONS = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("File too large for the limit that is set here, see ulimit -f", _ROOM),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}


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
        If the file cannot be written, as on a full disk: what stood there is untouched, and nothing is left beside
        it.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; give a file's name.")
    # Short, so that it fits wherever the name itself does.
    temporary = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise _refusal(f"{path}: cannot be written", error) from None
    finally:
        with suppress(OSError, ValueError):
            temporary.unlink()
    return path


def _refusal(what: str, error: OSError | ValueError) -> InputError:
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
    path = Path(path)
    if path.suffix == ".csv":
        return write_text(path, table())
    from bayeslaw.storage import lasting, storable

    return write_bytes(path, storable(lasting(study)).to_netcdf(engine="h5netcdf"))


def check_place(path: str | Path) -> Path:
    """Refuse before the work what could not be written after it.

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
        If it is a folder, or its folder does not exist.
    """
    path = Path(path)
    if os.path.isdir(path) or not os.path.isdir(path.absolute().parent):
        raise InputError(f"{path}: cannot be written: give a file's name in a folder that exists.")
    _check_name(path)
    return path


def _check_name(path: Path) -> None:
    """Refuse a name that no file of the system can have, such as one that is too long."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise _refusal(f"{path}: cannot be written", error) from None


def check_folder(folder: Path) -> Path:
    """Refuse a path that cannot become a folder, before any work is done.

    Parameters
    ----------
    folder : path

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If a file stands there or above it.
    """
    folder = Path(folder)
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    if not os.path.isdir(nearest):
        raise InputError(
            f"{folder}: cannot be made a folder, {nearest} is a file; give another folder's name."
        )
    _check_name(folder)
    return folder


def make_folder(folder: Path) -> Path:
    """Make a folder, and those above it, where they are missing.

    Parameters
    ----------
    folder : path

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If it cannot be made.
    """
    folder = check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(f"{folder}: cannot be made a folder", error) from None
    return folder
