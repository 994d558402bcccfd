"""Tell one version of what computes results from another."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]
_COMPUTES = ("core", "law", "data", "observation", "inference", "assess", "forecasts", "studies")
"""The layers that a study's results come from; none of those behind them is imported by these."""
_LIBRARIES = ("arviz", "numba", "numpy", "nutpie", "pandas", "pymc", "pytensor", "scipy", "xarray")


@cache
def sources_hash() -> str:
    """Return a SHA-256 of the package's sources, as far as results come from them, and of its libraries' versions.

    Returns
    -------
    str
        Of the files as they were when it was first asked for in this process.
    """
    digest = hashlib.sha256()
    for layer in _COMPUTES:
        for path in sorted((_PACKAGE / layer).rglob("*.py")):
            digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(" ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    return digest.hexdigest()
