"""Leave-one-out: how each fit predicts every row from the others, by importance sampling, with its warnings."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.assess.likelihood import log_likelihood
from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError
from bayeslaw.data.row_names import row_names
from bayeslaw.inference.fit import Fit
from bayeslaw.observation.shifts import COLUMN

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData

_NAMED = 5
"""At most so many rows are named in a message."""
FEW_ROWS = 100
"""With fewer rows the standard error of a difference is itself badly known (Sivula et al., arXiv:2008.10296)."""


def leave_one_out(fit: Fit) -> ELPDData:
    """Estimate how a fit would predict each row, had it been fitted without it.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    arviz_stats.utils.ELPDData
        As ArviZ's ``loo(…, pointwise=True)``: ``elpd`` and ``se`` in nat, of the output in its own
        unit, ``p``, ``good_k``, and for each row ``elpd_i`` and ``pareto_k`` (dim obs).

    Raises
    ------
    InputError
        If a row's density is not a number under some draw.

    Notes
    -----
    The posterior is proportional to p(θ) p(y_−i | θ) p(y_i | y_−i, θ), and that without row i to its
    first two factors. So the ratio of the two is 1 / p(y_i | y_−i, θ) whatever the covariance of the
    rows, and Pareto-smoothed importance sampling [1]_ takes the conditional densities as they are
    [2]_. θ holds the discrepancy's length and scale, too: they are drawn from what all rows say of
    them, so that draws of all of θ are draws of the posterior. A row's own shift is not in its θ: it
    is marginalised. Which rows have shifts, the references and the law itself were chosen on all rows.

    References
    ----------
    .. [1] Vehtari, Gelman, Gabry 2017, arXiv:1507.04544; Vehtari et al. 2024, arXiv:1507.02646.
    .. [2] Bürkner, Gabry, Vehtari 2020, "Efficient leave-one-out cross-validation for Bayesian
       non-factorized normal and Student-t models", arXiv:1810.10559.
    """
    import arviz_stats as azs

    density = log_likelihood(fit)
    if not np.isfinite(density.values).all():
        bad = np.flatnonzero(~np.isfinite(density.values).all(axis=(0, 1)))
        raise InputError(
            f"model '{fit.spec.name}': the log density of {row_names(fit.data, bad[:1])[0]} is not a number under some "
            "draws, so that it cannot be left out; fit again, without the row or with a narrower prior."
        )
    groups = {"posterior": fit.draws, "log_likelihood": xr.Dataset({fit.spec.output.name: density})}
    with warnings.catch_warnings():  # what it warns of is told by `pareto_check`, by name
        warnings.simplefilter("ignore")
        return azs.loo(xr.DataTree.from_dict(groups), pointwise=True)


def loo_table(loos: Mapping[str, ELPDData]) -> pd.DataFrame:
    """Lay out what leaving rows out says of each law, and weigh the laws by it.

    Parameters
    ----------
    loos : mapping of str to ELPDData
        From `leave_one_out`, of the same rows.

    Returns
    -------
    pandas.DataFrame
        Index law, best first; columns elpd_loo, se, difference, se_difference (nat), p_loo,
        weight_loo (share), worst_pareto_k, rows_high_k.

    Notes
    -----
    ArviZ's ``compare`` with stacking, Yao et al. 2018, arXiv:1704.02030.
    """
    import arviz_stats as azs

    # Stacking is blind to a constant a row; without it a row that no law expects would underflow.
    best = np.max([one.elpd_i.values for one in loos.values()], axis=0)
    levelled = {name: replace(one, elpd_i=one.elpd_i - best) for name, one in loos.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = azs.compare(levelled, method="stacking", round_to="none")
    ordered = [loos[name] for name in found.index]
    table = pd.DataFrame({
        "elpd_loo": found["elpd"], "se": found["se"],
        "difference": found["elpd_diff"], "se_difference": found["dse"], "p_loo": found["p"],
        "weight_loo": found["weight"],
        "worst_pareto_k": [float(one.pareto_k.max()) for one in ordered],
        "rows_high_k": [len(_high(one)) for one in ordered],
    }, index=found.index)  # fmt: skip
    return table.astype({n: float for n in table.columns if n != "rows_high_k"}).rename_axis("law")


def _high(one: ELPDData) -> np.ndarray:
    """Return the rows whose Pareto k is too high, the highest first."""
    k = one.pareto_k.values
    order = np.argsort(-k, kind="stable")
    return order[~(k[order] <= one.good_k)]


def loo_checks(fits: Mapping[str, Fit], loos: Mapping[str, ELPDData]) -> list[Check]:
    """Say what limits leave-one-out scores, law by law and in all.

    Parameters
    ----------
    fits : mapping of str to Fit
    loos : mapping of str to ELPDData
        From `leave_one_out`, by the same names.

    Returns
    -------
    list of Check
        ``pareto-k`` for each law; ``interpolation``; where they apply ``few-rows``, ``counts`` and
        ``shifted-rows``.
    """
    rows = next(iter(fits.values())).data.sizes["obs"]
    message = (
        "elpd_loo and weight_loo judge interpolation: each row is predicted from the rows around it. They say nothing of "
        "forecasts beyond the data; the …_ahead columns (ahead=True) do."
    )
    found = [*(pareto_check(name, fits[name], one) for name, one in loos.items())]
    found.append(Check("interpolation", "note", float(rows), message))
    if len(fits) > 1 and rows < FEW_ROWS:
        message = (
            f"{rows} rows: with fewer than {FEW_ROWS} the standard error of a difference is itself uncertain and often too "
            "small, so read small multiples of it with care."
        )
        found.append(Check("few-rows", "note", float(rows), message))
    return [*found, *_counts(fits), *_shifted(fits)]


def pareto_check(name: str, fit: Fit, one: ELPDData) -> Check:
    """Name the rows without which the posterior would be too different for importance sampling.

    Parameters
    ----------
    name : str
        The law's, for the message.
    fit : Fit
    one : ELPDData
        From `leave_one_out`.

    Returns
    -------
    Check
        ``pareto-k``: a warning where a row's k is above ArviZ's ``good_k``.
    """
    high, k = _high(one), one.pareto_k.values
    worst = float(k.max())
    if not len(high):
        message = f"{name}: Pareto k is at most {worst:.2f}, wanted at most {one.good_k:.2f}."
        return Check("pareto-k", "ok", worst, message)
    named = zip(row_names(fit.data, high[:_NAMED]), high, strict=False)
    told = ", ".join(f"{label} (obs {i}, k {k[i]:.2f})" for label, i in named)
    more = f" and {len(high) - _NAMED} more" if len(high) > _NAMED else ""
    message = (
        f"{name}: Pareto k is above {one.good_k:.2f} for {len(high)} of {len(k)} rows: {told}{more}. The fit without such a "
        "row is out of reach of this one's draws, and elpd_loo is likely too high. Fit again without the row, "
        "fit(spec, data.drop_isel(obs=[…])), and see whether the order of the laws stands; for many rows leave groups "
        "out instead, backtest(spec, data, along=<a column of labels>)."
    )
    return Check("pareto-k", "warn", worst, message)


def _counts(fits: Mapping[str, Fit]) -> list[Check]:
    names = [name for name, one in fits.items() if one.spec.traits.counts]
    if not names:
        return []
    message = (
        f"{', '.join(names)}: elpd_loo is of numbers of successes, each row's own success rate marginalised; compare it with that "
        "of counts alone, never with that of a table of shares."
    )
    return [Check("counts", "note", float(len(names)), message)]


def _shifted(fits: Mapping[str, Fit]) -> list[Check]:
    """Name the rows that have a shift in some fit: left out, they are predicted with its heavy tails."""
    by_law = {name: one.data[COLUMN].values != 0 for name, one in fits.items() if COLUMN in one.data}
    if not any(rows.any() for rows in by_law.values()):
        return []
    first = next(iter(fits.values())).data
    told = [
        f"{name}: {', '.join(row_names(first, np.flatnonzero(rows)))}"
        for name, rows in by_law.items()
        if rows.any()
    ]
    message = (
        f"Rows with a shift of their own: {'; '.join(told)}. Left out, such a row is predicted with a shift's heavy tails; that "
        "it has one was decided with it, which favours the law whose fit gives it one. See how the laws compare without it."
    )
    return [Check("shifted-rows", "note", float(sum(r.sum() for r in by_law.values())), message)]
