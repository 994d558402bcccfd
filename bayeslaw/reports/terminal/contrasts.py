"""Differences between forecasts, and between groups, as text."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from bayeslaw.core.numbers import precise

MOST_COMPARED = 8
"""With more groups, the table of pairs is left to the file."""


def contrast_text(result: xr.Dataset) -> str:
    """Lay out differences: one row a pair, with the probability that the first is the smaller.

    Parameters
    ----------
    result : xarray.Dataset
        As `contrast` returns it.

    Returns
    -------
    str
    """
    about = result.attrs
    table = result.to_dataframe()[["median_a", "median_b", "median", "lower", "upper", "p_less"]]
    table = table.rename(columns={"median_a": "a", "median_b": "b", "median": "a - b", "p_less": "P(a < b)"})
    table = table.astype(object).map(precise)
    head = (
        f"{about['output']} ({about['units']}), two forecasts of kind {about['kind']}: their medians, and the difference "
        f"with its {100 * about['prob']:g} % interval:"
    )
    return f"{head}\n{table.to_string(index=False)}"


def groups_text(table: pd.DataFrame) -> str:
    """Lay out groups' own values of a parameter, and of few groups how each compares with each other.

    Parameters
    ----------
    table : pandas.DataFrame
        As `groups` returns it.

    Returns
    -------
    str
    """
    own = table[["median", "lower", "upper", "rows"]]
    own = own.astype(object).map(lambda value: precise(value) if isinstance(value, float) else value)
    head = f"{table.attrs['parameter']} ({table['unit'].iloc[0]}) of each group, median and {100 * table.attrs['prob']:g} % interval:"
    text = f"{head}\n{own.to_string()}"
    if not 1 < len(table) <= MOST_COMPARED:
        return text
    pairs = table[[c for c in table.columns if c.startswith("> ")]]
    pairs = pairs.map(lambda share: "" if pd.isna(share) else f"{share:.2f}")
    return (
        f"{text}\n\nprobability that a row's group has the larger value than a column's:\n{pairs.to_string()}"
    )
