"""Check the files that a command is about to write, before it does any work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bayeslaw.core.errors import InputError
from bayeslaw.core.files import as_path, check_place
from bayeslaw.core.folders import check_folder

FIGURES = (".png", ".svg", ".pdf")
"""How a figure's file may end."""


def check_suffix(path: str | Path, allowed: Sequence[str], what: str = "the name") -> Path:
    """Refuse a file's name whose ending does not say how to write it.

    Parameters
    ----------
    path : path
    allowed : sequence of str
        With the dot.
    what : str
        Whose name it is.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
    """
    path = as_path(path)
    if path.suffix.lower() not in allowed:
        found = repr(path.suffix) if path.suffix else "no suffix"
        raise InputError(
            f"{path}: found {found}, allowed: {' or '.join(allowed)}; {what} ends in one of them."
        )
    return path


def check_outputs(
    outputs: Iterable[tuple[str, Path | None]], inputs: Iterable[tuple[str, Path | None]]
) -> None:
    """Refuse, before any work is done, outputs that would replace an input or one another.

    Parameters
    ----------
    outputs : iterable of (str, path or None)
        What each is called (``"-o"``), and the file; None where there is none.
    inputs : iterable of (str, path or None)
        The same of what is read; files that are not there are left to their readers.

    Raises
    ------
    InputError
        If an output is an input or another output, by whatever name: relative, through a link, in
        other capitals where the disk ignores them. Or if it cannot be written, see `check_place`.
    """
    inputs = list(inputs)
    written: list[tuple[str, Path]] = []
    for option, path in outputs:
        if path is None:
            continue
        for name, other in inputs:
            if other is not None and _one_file(path, other):
                raise InputError(
                    f"{option} {path}: is the command's {name}, which would be lost; give another name."
                )
        check_place(path)
        for name, other in written:
            if _one_file(path, other) or _one_name(path, other):
                raise InputError(f"{option} {path}: is what {name} writes, too; give each a name of its own.")
        written.append((option, path))


def _one_file(one: Path, other: Path) -> bool:
    """Return whether two paths name the same file, and it exists."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _one_name(one: Path, other: Path) -> bool:
    """Return whether two files that need not exist yet would be one, also on a disk that ignores capitals."""
    names = [os.path.realpath(path).casefold() for path in (one, other)]
    return names[0] == names[1]


def folder_outputs(option: str, folder: Path | None, names: Iterable[str]) -> list[tuple[str, Path | None]]:
    """Return what a command writes into a folder, for `check_outputs`.

    Parameters
    ----------
    option : str
        Which names the folder.
    folder : path or None
    names : iterable of str
        Of the files.

    Returns
    -------
    list of (str, path)
        Empty if the folder is yet to be made: nothing there can be lost.

    Raises
    ------
    InputError
        See `check_folder`.
    """
    if folder is None or not check_folder(folder).is_dir():
        return []
    return [(option, folder / name) for name in names]
