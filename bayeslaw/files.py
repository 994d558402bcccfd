"""Files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bayeslaw.errors import InputError

if TYPE_CHECKING:
    import xarray as xr


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`, and rename it to `path` when the block succeeds.

    Parameters
    ----------
    path : pathlib.Path

    Yields
    ------
    pathlib.Path
        Where to write; has the same suffix.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file's name.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place.") from None
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error}).") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
        write_text(path, table())
        return path
    with written_whole(path) as temporary:
        study.to_netcdf(temporary, engine="h5netcdf")
    return path


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
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"{path}: cannot be written: give a file's name in a folder that exists.")
    return path


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
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise InputError(
            f"{folder}: cannot be made a folder, {nearest} is a file; give another folder's name."
        )
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
        raise InputError(
            f"{folder}: cannot be made a folder ({error.strerror}); choose another place."
        ) from None
    return folder
