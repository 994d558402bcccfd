"""Notice what a table may hold and yet hardly means, and name its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.check import Check
from bayeslaw.data.direction import against_law
from bayeslaw.law.spec import Spec

FACTOR, ROW_FACTOR = 1.5, 2.0
"""How far compute may be from 6·params·tokens, in the median and in a row: embeddings, attention over long
contexts and rounding stay below; experts, repeated data and wrong units do not."""
MOST_SHARED = 0.95
"""A checkpoint shares its problems with the others if at least this part of its own and of the usual ones is common."""
_BUDGET = ("params", "tokens", "compute")
_SHOWN = 5


def odd_data(spec: Spec, rows: pd.DataFrame, data: xr.Dataset) -> list[Check]:
    """Find what is allowed in a table's rows but hardly meant.

    Parameters
    ----------
    spec : Spec
    rows : pandas.DataFrame
        As read, with the table's own numbers as index.
    data : xarray.Dataset
        The same rows, laid out.

    Returns
    -------
    list of Check
        ``against-law``: the output goes against the law in every input; ``compute-factor``: compute
        is not 6·params·tokens. Empty for a sound table.
    """
    names = row_labels(rows)
    budget = {i.column for i in spec.inputs.values()} & set(_BUDGET)
    return [*against_law(spec, data, names), *(_compute_factor(rows, names) if budget else [])]


def row_labels(rows: pd.DataFrame) -> list[str]:
    """Name rows as messages do: by model or run where that tells them apart, else by number."""
    key = next((c for c in ("model", "run") if c in rows and rows[c].is_unique), None)
    return [str(v) for v in rows[key]] if key else [f"row {i + 1}" for i in rows.index]


def problem_sets(counts: pd.DataFrame, by: Sequence[str]) -> list[Check]:
    """Compare the problems that each checkpoint was given.

    Parameters
    ----------
    counts : pandas.DataFrame
        One row per checkpoint and problem, with the column ``problem``.
    by : sequence of str
        The columns that tell checkpoints apart; not those that sort problems.

    Returns
    -------
    list of Check
        ``problem-sets``, where they differ: a mean over other problems is another quantity.
    """
    out = []
    apart = "benchmark" in counts
    for name, table in counts.groupby("benchmark", sort=False) if apart else [("", counts)]:
        keys = [c for c in by if c != "benchmark"]
        if not keys:
            continue
        sets = {key: frozenset(map(str, own)) for key, own in table.groupby(keys, sort=False)["problem"]}
        usual = _usual(list(sets.values()))
        odd = sorted((k for k, own in sets.items() if own != usual), key=lambda k: len(sets[k] & usual))
        if not odd:
            continue
        shared = frozenset.intersection(*sets.values())
        named = ", ".join(f"{k[0]} {len(sets[k])}" for k in odd[:_SHOWN])
        more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        message = (
            f"{len(odd)} of {len(sets)} models have other problems than the usual {len(usual)}{f' of {name}' if apart else ''}: "
            f"{named}{more}; all share {len(shared)}. Means over different problems do not compare: leave "
            "these models out, or keep the shared problems: where=['problem=…'] (--where)."
        )
        far = any(len(sets[k] & usual) < MOST_SHARED * max(len(sets[k]), len(usual)) for k in odd)
        level = "warn" if far else "note"
        out.append(Check("problem-sets", level, float(len(shared)), message))
    return out


def _usual(sets: Sequence[frozenset[str]]) -> frozenset[str]:
    """Return the set that most checkpoints have or, where no two have the same, what at least half of them have."""
    common, times = Counter(sets).most_common(1)[0]
    if times > 1:
        return common
    held = Counter(problem for own in sets for problem in own)
    return frozenset(problem for problem, models in held.items() if 2 * models >= len(sets))


def _compute_factor(rows: pd.DataFrame, names: Sequence[str]) -> list[Check]:
    """Compare compute with 6·params·tokens where all three are given."""
    if not set(_BUDGET) <= set(rows.columns):
        return []
    params, tokens, compute = (
        pd.to_numeric(rows[c], errors="coerce").to_numpy(dtype=float, na_value=np.nan) for c in _BUDGET
    )
    with np.errstate(all="ignore"):
        off = np.log(compute / (6.0 * params * tokens))
    fine = np.isfinite(off)
    if not fine.any():
        return []
    middle = float(np.exp(np.median(off[fine])))
    far = np.flatnonzero(fine & (np.abs(off) > np.log(ROW_FACTOR)))
    if abs(np.log(middle)) <= np.log(FACTOR) and not len(far):
        return []
    far = far[np.argsort(-np.abs(off[far]), kind="stable")]
    worst = ", ".join(f"{names[i]} ({np.exp(off[i]):.2g})" for i in far[:_SHOWN])
    more = f" and {len(far) - _SHOWN} more" if len(far) > _SHOWN else ""
    told = f"{len(far)} of {int(fine.sum())} rows are off by more than a factor of {ROW_FACTOR:g}"
    message = (
        f"compute is {middle:.2g} times 6·params·tokens in the median; {told}{f': {worst}{more}' if len(far) else ''}. Check the "
        "units; where compute counts otherwise (experts, embeddings, repeated data), give targets their compute too, "
        "for else it is taken as 6·params·tokens."
    )
    return [Check("compute-factor", "warn", middle, message)]
