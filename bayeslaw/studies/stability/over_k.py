"""k of pass@k as a lever: what a law's parameters and their stable spans are for each k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.errors import InputError, check_type, listed
from bayeslaw.data.pass_at_k import check_ks
from bayeslaw.data.tables import read_table
from bayeslaw.law.spec import Spec
from bayeslaw.studies.stability.study import LEAST_ROWS, stability, unclean

_KEPT = ("median", "lower", "upper", "sensitivity")
_SPANS = ("stable_orders", "drift_at", "resolved_from", "verdict", "unit")


def stability_by_k(
    spec: Spec,
    table: Any,
    k: Sequence[int],
    along: str = "compute",
    *,
    read: Mapping[str, Any] | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Study a law's stability for several k of pass@k.

    Parameters
    ----------
    spec : Spec
    table : path or pandas.DataFrame
        Counts n, c of every model and problem.
    k : sequence of int
        Models with fewer samples than k are left out of that k: ``rows`` counts who is left.
    along : str
        As of `stability`.
    read : mapping, optional
        Further arguments of `read_table`: where, join, on, rename, gold.
    **settings
        As of `stability`, where fits run included.

    Returns
    -------
    xarray.Dataset
        Dims k and parameter: ``median``, ``lower``, ``upper`` and ``sensitivity`` of the window that
        sees all rows, ``stable_orders``, ``drift_at``, ``resolved_from``, ``verdict``; ``rows``,
        ``orders`` (that the rows span), ``law_orders``, ``law_verdict``, ``early_orders`` and
        ``failed`` (fits that are not clean) over k.

    Raises
    ------
    InputError
        If a k is no whole number, or too few rows reach it.
    """
    ks = check_ks(listed("k", k, "a list of whole numbers, such as [1, 4, 16]"))
    check_type("read", read, Mapping | None, "a mapping of further arguments of read_table")
    parts = []
    for one in ks:
        data = read_table(table, spec, k=one, **(read or {}))
        if data.sizes["obs"] < LEAST_ROWS:
            raise InputError(
                f"k = {one}: {data.sizes['obs']} rows reach it, at least {LEAST_ROWS} are needed."
            )
        parts.append(_slice(stability(spec, data, along, **settings), data.sizes["obs"]))
    out = xr.concat(parts, dim="k", join="outer", combine_attrs="drop_conflicts")
    return out.assign_coords(k=np.array(ks))


def by_k_table(st: xr.Dataset) -> pd.DataFrame:
    """Lay a study over k out as a table, one row a k and parameter.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability_by_k` returned it.

    Returns
    -------
    pandas.DataFrame
        Columns k, parameter and every variable.
    """
    return st.to_dataframe(dim_order=["k", "parameter"]).reset_index()


def _slice(st: xr.Dataset, rows: int) -> xr.Dataset:
    """Return what is kept of one k."""
    whole = st.isel(window=int(np.flatnonzero(st["view"].values == "trailing")[-1]))
    kept = {n: whole[n].drop_vars(["window", "view", "orders", "end"]) for n in _KEPT}
    kept |= {n: st[n] for n in _SPANS}
    kept |= {n: st.attrs[n] for n in ("law_orders", "law_verdict", "early_orders")}
    return xr.Dataset(
        {**kept, "rows": rows, "orders": float(whole["orders"]), "failed": int(unclean(st).sum())},
        attrs={n: st.attrs[n] for n in ("model", "title", "along", "output", "prob")},
    )
