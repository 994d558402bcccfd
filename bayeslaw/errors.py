"""The one error that bad input raises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
