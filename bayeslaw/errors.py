"""The one error that bad input raises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral

NEAREST = 5
"""How many names a message lists of a long list."""
_ALL_OF_OURS, _ALL_OF_THEIRS = 30, 8
"""Up to how many names are listed whole: the program's own, and a table's."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message says what was found, where, what is allowed and what to do. The command line prints
    it alone, without a traceback, and exits with code 2.
    """


def did_you_mean(word: str, allowed: Iterable[str], has: str = "Allowed:") -> str:
    """Return the end of an error message: the nearest name, and all of them, or the nearest few of many.

    Parameters
    ----------
    word : str
        What was found.
    allowed : iterable of str
        What may stand there.
    has : str
        How to begin the list: ``"The table has"`` where names are a table's, not the program's.

    Returns
    -------
    str
        ``"; did you mean 'x'? Allowed: …"``, or without the question where nothing is near.
    """
    names = sorted(str(name) for name in allowed)
    near = _nearest(str(word), names, 1, 0.6)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    shown = names
    if len(names) > (_ALL_OF_OURS if has == "Allowed:" else _ALL_OF_THEIRS):
        shown = _nearest(str(word), names, NEAREST, 0.0)
    more = len(names) - len(shown)
    listed = ", ".join(shown) + (f" and {more} more" if more else "")
    return f"{hint} {has} {listed or '(nothing)'}."


def _nearest(word: str, names: list[str], count: int, cutoff: float) -> list[str]:
    """Return the names most like a word, capitals aside, the nearest first."""
    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.lower(), name)
    return [by_lower[n] for n in difflib.get_close_matches(word.lower(), by_lower, count, cutoff)]


def check_probability(name: str, value: object) -> None:
    """Refuse a value that is no number strictly between 0 and 1.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object

    Raises
    ------
    InputError
    """
    if isinstance(value, bool) or not isinstance(value, float | int) or not 0 < value < 1:
        raise InputError(f"{name}: found {value!r}, allowed: a number between 0 and 1, such as 0.9.")


def check_whole(name: str, value: object, least: int) -> None:
    """Refuse a value that is no whole number, or too small a one.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object
    least : int

    Raises
    ------
    InputError
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name}: found {value!r}, allowed: a whole number, {least} or more.")
