"""Write numbers as text: each kind of place has its own count of digits, and all write powers of ten alike.

=================  ============================================================
`show`             Tables and sentences of a page: four digits, zeros kept.
`short`            Labels of a figure, where room is scarce: three digits.
`precise`          Tables of the terminal, which a script may read: five digits.
`percent`          Shares in a sentence or a title: two digits, whole from 10 on.
`factor`           How many times as large: two digits, written out while it is short.
`interval_ends`    An interval: as many digits as show its width.
=================  ============================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

DIGITS = 4
"""Significant digits of a table's numbers on a page."""


def show(value: Any) -> str:
    """Write a table's value: numbers with four significant digits, whole numbers and text as they are.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        "–" where there is none, "yes" or "no" for a flag.
    """
    if value is pd.NA:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return "–"
        if not 1e-3 <= abs(value) < 1e6:
            return _significant(value, DIGITS)
        # Trailing zeros stay: the digits of a column are then equally many.
        return f"{value:.{max(0, DIGITS - 1 - int(np.floor(np.log10(abs(value)))))}f}"
    return str(value)


def short(value: float) -> str:
    """Write a number with three significant digits, as short as it goes."""
    return _significant(value, 3)


def precise(value: object) -> str:
    """Write a number with five significant digits, as other programs write it; text stays as it is."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def percent(share: float) -> str:
    """Write a share in per cent, without the sign: two significant digits, whole numbers from 10 % on."""
    return f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.0f}"


def factor(times: float) -> str:
    """Write a factor with two significant digits, three near one; up to six figures it is written out."""
    return f"{float(f'{times:.{2 if times > 1.1 else 3}g}'):g}".replace("e+0", "e")


def interval_ends(low: float, high: float) -> tuple[str, str]:
    """Write the ends of an interval with as few digits as show its width, two at least.

    Parameters
    ----------
    low, high : float

    Returns
    -------
    tuple of str
        Rounded to a fifth of the width or finer.
    """
    width = abs(high - low) or abs(high) or 1.0
    unit = int(np.floor(np.log10(width / 5)))
    return _to_unit(low, unit), _to_unit(high, unit)


def _to_unit(value: float, unit: int) -> str:
    """Write a number to 10^unit, with two to eight significant digits; trailing zeros stay."""
    if value == 0:
        return "0"
    size = int(np.floor(np.log10(abs(value))))
    digits = min(max(2, size - unit + 1), 8)
    if not 1e-4 <= abs(value) < 1e6:
        return _significant(value, digits)
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:.{max(0, digits - 1 - int(np.floor(np.log10(abs(rounded)))))}f}"


def _significant(value: float, digits: int) -> str:
    """Write a number with some significant digits, its power of ten without a plus or a leading zero."""
    return f"{value:.{digits}g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
