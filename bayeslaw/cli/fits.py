"""Read the fits that a command is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayeslaw.cli.output import stage
from bayeslaw.core.errors import InputError

if TYPE_CHECKING:
    from bayeslaw.inference.fit import Fit


def by_stem(paths: Sequence[Path], fits: Sequence[Fit]) -> dict[str, Fit]:
    """Call each fit by its file's name."""
    names = [path.stem for path in paths]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two files are called {twice[0]!r}; give each law's file a name of its own.")
    return dict(zip(names, fits, strict=True))


def load_fits(paths: Sequence[Path]) -> list[Fit]:
    """Read fits from their files, one after the other."""
    from bayeslaw.inference.loading import load_fit

    loaded = []
    for path in paths:
        with stage(f"reading {path}"):
            loaded.append(load_fit(path))
    return loaded
