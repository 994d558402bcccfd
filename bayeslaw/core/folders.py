"""Make the folders that commands fill, and refuse early what cannot become one."""

from __future__ import annotations

import os
from pathlib import Path

from bayeslaw.core.errors import InputError
from bayeslaw.core.files import as_path, cannot


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
        If a file stands there or above it, or it takes no files.
    """
    folder = as_path(folder)
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    if not os.path.isdir(nearest):
        raise InputError(
            f"{folder}: cannot be made a folder, {nearest} is a file; give another folder's name."
        )
    try:
        folder.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise cannot(f"{folder}: cannot be made a folder", error) from None
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(
            f"{folder}: cannot be written to, {nearest} takes no new files; choose another folder."
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
        raise cannot(f"{folder}: cannot be made a folder", error) from None
    return folder
