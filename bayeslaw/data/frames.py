"""Answer what every reader of tables asks: are columns' names unique, and does a text spell a number."""

from __future__ import annotations

from typing import Any

from bayeslaw.core.errors import InputError


def refuse_twins(names: list[Any], what: str) -> None:
    """Refuse two columns of one name; columns without a name can't be asked for."""
    seen: set[Any] = set()
    for name in names:
        if name != "" and name in seen:
            raise InputError(f"{what}: two columns are called {name!r}; names are unique.")
        seen.add(name)


def spells_number(text: object) -> bool:
    """Return whether a text spells a finite or infinite number."""
    try:
        return float(str(text)) == float(str(text)) and "_" not in str(text)
    except ValueError:
        return False
