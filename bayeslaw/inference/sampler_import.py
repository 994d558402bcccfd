"""Importing nutpie without the rest of ArviZ, plots and all, which fits never use."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

_ARVIZ = "arviz"


class _ArvizOnUse(ModuleType):
    """Stands for ArviZ, and loads it when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        # Who looks through all modules, as `inspect` does, asks for their files and documents.
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        _leave(self)
        import arviz

        return getattr(arviz, name)


def nutpie_module() -> ModuleType:
    """Import nutpie.

    Returns
    -------
    module

    Notes
    -----
    nutpie imports ArviZ, which takes as long as all the rest of it, to turn its traces into trees; fits take the
    raw traces. So while nutpie is imported, and only if ArviZ is not loaded yet, a module stands in its place that
    loads it on use. nutpie keeps that one; anybody else's ``import arviz`` finds none, and imports it as ever.
    `importlib.util.LazyLoader` will not do: the mere statement ``import arviz`` makes it load.
    """
    if _ARVIZ in sys.modules or "nutpie" in sys.modules:
        import nutpie

        return nutpie
    stand_in = sys.modules[_ARVIZ] = _ArvizOnUse(_ARVIZ)
    try:
        import nutpie
    finally:
        _leave(stand_in)
    return nutpie


def _leave(stand_in: ModuleType) -> None:
    """Give the name free, unless it stands for ArviZ itself by now."""
    if sys.modules.get(_ARVIZ) is stand_in:
        del sys.modules[_ARVIZ]
