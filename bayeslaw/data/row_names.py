"""Names of rows, for messages."""

from __future__ import annotations

import numpy as np
import xarray as xr


def row_names(data: xr.Dataset, rows: np.ndarray) -> list[str]:
    """Name rows by run or model, and step or what else tells its rows apart, or else by their number in the table.

    Parameters
    ----------
    data : xarray.Dataset
    rows : numpy.ndarray of int

    Returns
    -------
    list of str
    """
    key = next((k for k in ("run", "model") if k in data.coords), None)
    places = data["obs"].values
    names = [str(data[key].values[i]) if key else f"row {places[i] + 1}" for i in rows]
    if "step" in data.coords:
        return [f"{n} at step {data['step'].values[i]:.0f}" for n, i in zip(names, rows, strict=True)]
    apart = _apart(data, key) if key else []  # a model on several benchmarks
    told = [", ".join(str(data[c].values[i]) for c in apart) for i in rows]
    return [f"{n} ({t})" if t else n for n, t in zip(names, told, strict=True)]


def _apart(data: xr.Dataset, key: str) -> list[str]:
    """Return the columns of labels that are not one value a model (or run)."""
    labels = [str(c) for c in data.coords if c not in ("obs", key) and data[c].dims == ("obs",)]
    owner = np.unique(data[key].values.astype(str), return_inverse=True)[1]
    pairs = {c: np.unique(data[c].values.astype(str), return_inverse=True)[1] for c in labels}
    return [c for c, own in pairs.items() if len(set(zip(owner, own, strict=True))) > owner.max() + 1]
