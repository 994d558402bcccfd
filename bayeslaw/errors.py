"""The one error that bad input raises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message says what was found, where, what is allowed and what to do. The command line prints
    it alone, without a traceback, and exits with code 2.
    """


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return the end of an error message: the nearest allowed word, and all of them.

    Parameters
    ----------
    word : str
        What was found.
    allowed : iterable of str
        What may stand there.

    Returns
    -------
    str
        ``"; did you mean 'x'? Allowed: …"``, or without the question where nothing is near.
    """
    names = sorted(str(name) for name in allowed)
    near = difflib.get_close_matches(str(word), names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return f"{hint} Allowed: {', '.join(names) if names else '(nothing)'}."


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
