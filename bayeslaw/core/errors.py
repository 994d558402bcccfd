"""Define the one error that bad input raises, and refuse bad arguments with it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from numbers import Integral, Number, Real
from types import UnionType
from typing import Any

SEEDS = 0, 2**63 - 1
"""What NumPy, the sampler and a file's attributes all take as a seed."""

NEAREST = 5
"""How many names a message shows of a long list."""
_ALL_OF_OURS, _ALL_OF_THEIRS = 30, 8
"""Up to how many names are listed whole: the program's own, and a table's."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message says what was found, where, what is allowed and what to do. The command line prints
    it alone, without a traceback, and exits with code 2.

    Parameters
    ----------
    message : str
        Stays on one line, whatever line breaks a name or a cause brings along.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))


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


def shown(value: object, longest: int = 60) -> str:
    """Write what was found for a message: on one line, its beginning if it is long.

    Parameters
    ----------
    value : object
    longest : int
        Characters.

    Returns
    -------
    str
        Tables and other large things by their type's name alone.
    """
    plain = isinstance(value, str | bytes | Number | Sequence | Mapping | Set | type(None))
    if not plain:
        return f"a value of type {type(value).__name__}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a container may hold anything
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= longest else f"{text[:longest]}…"


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
    if not _is_number(value) or not 0 < value < 1:
        raise InputError(f"{name}: found {shown(value)}, allowed: a number between 0 and 1, such as 0.9.")


def check_number(
    name: str, value: object, allowed: str = "a finite number", fine: Callable[[Any], bool] = lambda v: True
) -> None:
    """Refuse a value that is no finite number, or not one of those that are allowed.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object
    allowed : str
        What may stand there, in words.
    fine : callable
        Whether a finite number may.

    Raises
    ------
    InputError
    """
    if not _is_number(value) or not _is_finite(value) or not fine(value):
        raise InputError(f"{name}: found {shown(value)}, allowed: {allowed}.")


def check_positive(name: str, value: object, what: str = "a positive number") -> None:
    """Refuse a value that is no finite number greater than 0.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object
    what : str
        What may stand there, in words.

    Raises
    ------
    InputError
    """
    check_number(name, value, what, lambda v: v > 0)


def check_whole(name: str, value: object, least: int, most: int | None = None, why: str = "") -> None:
    """Refuse a value that is no whole number, too small or too large a one.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object
    least : int
    most : int, optional
    why : str
        Why there are such limits.

    Raises
    ------
    InputError
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        limit = "" if most is None else f", at most {most:,}"
        reason = f" ({why})" if why else ""
        raise InputError(
            f"{name}: found {shown(value)}, allowed: a whole number, {least} or more{limit}{reason}."
        )


def check_choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Refuse a value that is none of some words.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object
    allowed : iterable of str

    Raises
    ------
    InputError
    """
    words = list(allowed)
    if not isinstance(value, str) or value not in words:
        near = value if isinstance(value, str) else ""
        raise InputError(f"{name}: found {shown(value)}{did_you_mean(near, words)}")


def check_type(name: str, value: object, kind: type | UnionType, allowed: str) -> None:
    """Refuse a value of another type.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object
    kind : type
        What it must be an instance of.
    allowed : str
        What may stand there, in words.

    Raises
    ------
    InputError
    """
    if not isinstance(value, kind):
        raise InputError(f"{name}: found {shown(value)}, allowed: {allowed}.")


def check_flag(name: str, value: object) -> None:
    """Refuse a value that is neither True nor False.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object

    Raises
    ------
    InputError
    """
    check_type(name, value, bool, "True or False")


def listed(name: str, value: object, allowed: str) -> list:
    """Return the entries of a list, tuple or other series of values.

    Parameters
    ----------
    name : str
        What to call it in the message.
    value : object
    allowed : str
        What may stand there, in words.

    Returns
    -------
    list

    Raises
    ------
    InputError
        If it is text, a mapping, or no series at all.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InputError(f"{name}: found {shown(value)}, allowed: {allowed}.")
    try:
        return list(value)
    except TypeError:  # an array without a dimension
        raise InputError(f"{name}: found {shown(value)}, allowed: {allowed}.") from None


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False
