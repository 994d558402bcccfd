"""Laws side by side: how each predicts rows among the others, how rows ahead, and what that does not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.assess.checks import checks
from bayeslaw.assess.loo import leave_one_out, loo_checks, loo_table
from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError, check_flag, check_type, did_you_mean, shown
from bayeslaw.forecasts.mixture import check_same_rows
from bayeslaw.forecasts.weights import FEWEST
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import residuals
from bayeslaw.inference.fitting import fit
from bayeslaw.observation.base import to_output
from bayeslaw.studies.running.execution import Execution, check_execution
from bayeslaw.studies.stacking import ahead_scores, ahead_weights, whole_blocks

SURE_NAT, SURE_SE = 4.0, 2.0
"""Differences of less, in nat or in standard errors, do not tell laws apart (Sivula et al., arXiv:2008.10296)."""
MANY_HIGH = 0.1
"""With a high Pareto k for a larger share of rows, leaving rows out decides nothing."""
UNITS = {
    "elpd_loo": "nat", "se": "nat", "difference": "nat", "se_difference": "nat", "p_loo": "1",
    "weight_loo": "share", "worst_pareto_k": "1", "rows_high_k": "rows",
    "log_score_ahead": "nat", "difference_ahead": "nat", "blocks_ahead": "blocks", "blocks_best": "blocks",
    "weight_ahead": "share", "error_posterior": "share", "error_point": "share",
    "stable_orders": "orders of magnitude",
}  # fmt: skip
"""Units of the columns, in their order."""


def compare(
    fits: Mapping[str, Fit],
    *,
    ahead: bool = False,
    along: str | None = None,
    windows: Sequence[float] | None = None,
    spans: Mapping[str, xr.Dataset] | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
    **execution: Unpack[Execution],
) -> pd.DataFrame:
    """Compare fits of several laws to the same rows.

    Parameters
    ----------
    fits : mapping of str to Fit
        By name, with method "nuts"; of one output, and of the same rows in the same order.
    ahead : bool
        Also fit each law again to growing windows and score how it predicts the rows behind each, as
        `stack` does. Takes laws × blocks fits; without it nothing is sampled, and nothing is said of
        forecasts beyond the data.
    along, windows
        As of `stack`, for ``ahead``.
    spans : mapping of str to xarray.Dataset, optional
        By a law's name what `stability` returned for it: its ``law_orders``, the orders of magnitude
        over which what is resolved of the law is stable, NaN where its shape is not resolved.
    draws, tune, chains, seed
        As of `fit`, for the fits of ``ahead``.
    progress : bool, optional
        As of `fit`.
    **execution
        Where the fits of ``ahead`` run, and where they are kept: ``jobs``, ``on``, ``store``, ``store_shared``, see
        `bayeslaw.studies.running.execution.Execution`.

    Returns
    -------
    pandas.DataFrame
        Index law, best first by ``elpd_loo``. ``attrs``: ``units``, a unit a column; ``checks``, a list
        of `Check` (high Pareto k, fits that failed a check, …); ``verdict``, one line.

        Among the rows, interpolation:

        - ``elpd_loo``, ``se``: log density (nat, of the output in its own unit) of every row predicted
          from all others, summed; its standard error. ``p_loo``: effective number of parameters.
        - ``difference``, ``se_difference``: to the best law, row by row, so that what makes a row hard
          for all cancels.
        - ``weight_loo``: stacking weights; one of two laws that cannot be told apart may get it all.
        - ``worst_pareto_k``, ``rows_high_k``: the highest Pareto k, and how many rows are above what
          importance sampling can do.
        - ``error_posterior``, ``error_point``: mean |median − y| / |y| over the very rows that were
          fitted, of the posterior's curve and of the point fit's. In-sample: the posterior's curve has
          the discrepancy and bends to the rows, which makes no law better; NaN without a point fit.

        Beyond the rows, extrapolation (``ahead``):

        - ``log_score_ahead``: log density (nat) of the rows of a block, together, as predicted from the
          rows below it; summed over ``blocks_ahead`` blocks, those with a score of every law.
        - ``difference_ahead``: to the best; ``blocks_best``: in how many blocks no law was better;
          ``weight_ahead``: the weights of `stack`.
        - ``stable_orders`` (``spans``): the law's; NaN if its shape is not resolved, or it has no entry.

    Raises
    ------
    InputError
        If the fits are not posteriors of the same rows, an argument is not allowed, or with ``ahead`` no
        block has a score of every law.

    Notes
    -----
    Interpolation and extrapolation are never one number: far from the data the law decides, among the
    rows its discrepancy. Differences of less than two standard errors or 4 nat do not tell laws apart
    [1]_; blocks ahead are few, and rows of a block share what is wrong with a law, so that they have no
    standard error. How rows are left out, see `loo.leave_one_out`; how weights come about, see [2]_ and
    `stack`.

    References
    ----------
    .. [1] Sivula, Magnusson, Matamoros, Vehtari 2020, "Uncertainty in Bayesian leave-one-out
       cross-validation based model comparison", arXiv:2008.10296.
    .. [2] Yao, Vehtari, Simpson, Gelman 2018, "Using stacking to average Bayesian predictive
       distributions", arXiv:1704.02030.
    """
    check_same_rows(fits, "compare")
    check_flag("ahead", ahead)
    check_execution("compare", execution)
    stable = _law_spans(fits, spans)
    if not ahead and (along is not None or windows is not None):
        raise InputError("compare: along and windows are of the blocks ahead; give ahead=True with them.")
    loos = {name: leave_one_out(one) for name, one in fits.items()}
    table = loo_table(loos)
    found = [*_failed(fits), *loo_checks(fits, loos)]
    if ahead:
        settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
        scores = ahead_scores(fits, along, windows, settings, progress, execution)
        table = table.join(_ahead_columns(scores))
        found.append(_ahead_check(scores))
    table["error_posterior"] = pd.Series({name: curve_error(one) for name, one in fits.items()})
    points = {name: _point_error(name, one) for name, one in fits.items()}
    table["error_point"] = pd.Series({name: error for name, (error, _) in points.items()})
    found += [check for _, (_, told) in points.items() for check in told]
    if spans is not None:
        table["stable_orders"] = pd.Series(stable, dtype=float).reindex(table.index)
    table = table[[name for name in UNITS if name in table]]
    table.attrs = {
        "units": {name: UNITS[name] for name in table},
        "checks": found,
        "verdict": verdict(table, next(iter(loos.values())).n_data_points),
    }
    return table


def _law_spans(fits: Mapping[str, Fit], spans: Mapping[str, xr.Dataset] | None) -> dict[str, float]:
    """Return the span of each law; NaN if it is not resolved."""
    out = {}
    check_type(
        "spans", spans, Mapping | None, "a mapping of laws' names to what stability(…) returned for them"
    )
    for name, span in ({} if spans is None else spans).items():
        if name not in fits:
            raise InputError(f"spans: no law {shown(name)} is compared{did_you_mean(str(name), fits)}")
        if not isinstance(span, xr.Dataset) or "law_orders" not in span.attrs:
            raise InputError(
                f"spans, law {name!r}: found {shown(span)}, allowed: what stability(spec, data) returned."
            )
        out[name] = float(span.attrs["law_orders"])
    return out


def _failed(fits: Mapping[str, Fit]) -> list[Check]:
    """Return the checks that a fit failed: scores of its draws are not to be used."""
    return [
        Check(check.name, check.level, check.value, f"{name}: {check.message}")
        for name, one in fits.items()
        for check in checks(one)
        if check.level == "fail"
    ]


def _ahead_columns(scores: xr.Dataset) -> pd.DataFrame:
    """Sum the blocks that have a score of every law."""
    whole = whole_blocks(scores).transpose("law", "window")
    total = whole.values.sum(axis=1)
    with np.errstate(invalid="ignore"):  # a law that finds a block impossible has −inf
        difference = np.where(total == total.max(), 0.0, total - total.max())
    return pd.DataFrame(
        {
            "log_score_ahead": total,
            "difference_ahead": difference,
            "blocks_ahead": whole.sizes["window"],
            "blocks_best": (whole.values == whole.values.max(axis=0)).sum(axis=1),
            "weight_ahead": list(ahead_weights(scores).values()),
        },
        index=whole["law"].values.tolist(),
    )


def _ahead_check(scores: xr.Dataset) -> Check:
    """Say what the scores ahead rest on, and which of their fits are not clean."""
    blocks = whole_blocks(scores).sizes["window"]
    told = [
        f"{name}, {window}: {text}"
        for name, texts in zip(scores["law"].values, scores["failed"].values, strict=True)
        for window, text in zip(scores["window"].values, texts, strict=True)
        if text
    ]
    message = (
        f"The …_ahead columns rest on {blocks} block(s) of {FEWEST} rows or more along {scores.attrs['along']}, which lie nearer than most forecasts' "
        "targets; so few trials rule no law out, and stack(fits) mixes the laws by them."
    )
    if told:
        message += (
            f" {len(told)} fit(s) of windows could not be made or failed a check: {'; '.join(told[:5])}"
            f"{f' and {len(told) - 5} more' if len(told) > 5 else ''}."
        )
    return Check("ahead", "warn" if told else "note", float(blocks), message)


def curve_error(fit: Fit) -> float:
    """Return the mean relative distance of a fit's median curve from its own rows.

    Parameters
    ----------
    fit : Fit
        A point fit's curve is its law at the optimum; a posterior's has the discrepancy.

    Returns
    -------
    float
        A share: mean |median − y| / |y|, in the output's unit.
    """
    observed = fit.data[fit.spec.output.name].values.astype(float)
    curve = to_output(fit.spec, fit.bound.rows.y - residuals(fit))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.mean(np.abs(curve - observed) / np.abs(observed)))


def _point_error(name: str, one: Fit) -> tuple[float, list[Check]]:
    """Return the error of the point fit of a law to the same rows; NaN and a note where there is none."""
    try:
        return curve_error(fit(one.spec, one.data, "map", bootstrap=0, progress=False)), []
    except InputError as error:
        message = f"{name}: there is no point fit to compare with ({error})"
        return np.nan, [Check("point-fit", "note", np.nan, message)]


def verdict(table: pd.DataFrame, rows: int) -> str:
    """Say in one line what a comparison tells, and what it does not.

    Parameters
    ----------
    table : pandas.DataFrame
        The columns of `compare`, best first.
    rows : int
        How many rows were fitted.

    Returns
    -------
    str
    """
    if len(table) == 1:
        return f"One law, {table.index[0]}: nothing to compare it with."
    high = int(table["rows_high_k"].max())
    if high > MANY_HIGH * rows:
        among = f"Among the rows: no verdict, for Pareto k is too high in {high} of {rows} (see the checks)"
    else:
        among = _among(table) + (" (rows with a high Pareto k: see the checks)" if high else "")
    if "log_score_ahead" not in table:
        return f"{among}. Beyond the rows: not judged, ahead=True does."
    return f"{among}. {_beyond(table)}"


def _among(table: pd.DataFrame) -> str:
    """Say which laws leaving rows out tells from the best."""
    best, others = table.index[0], table.iloc[1:]
    away = others["difference"].abs()
    close = (away < SURE_NAT) | (away < SURE_SE * others["se_difference"])
    parts = []
    for which, words in ((close, "cannot be told apart from"), (~close, "predicts rows better than")):
        named = [
            f"{name} ({away[name]:.1f} nat, standard error {others.at[name, 'se_difference']:.1f})"
            for name in others.index[which]
        ]
        if named:
            parts.append(f"{words} {', '.join(named)}")
    return f"Among the rows {best} {' and '.join(parts)}"


def _beyond(table: pd.DataFrame) -> str:
    """Say which law predicted rows ahead best, and by how little that is known."""
    ranked = table.sort_values("log_score_ahead", ascending=False, kind="stable")
    best, second = ranked.index[:2]
    lead = abs(float(ranked["difference_ahead"].iloc[1]))
    won, blocks = int(ranked["blocks_best"].iloc[0]), int(ranked["blocks_ahead"].iloc[0])
    told = f"by {lead:.1f} nat, best in {won} of {blocks} block(s)"
    if lead < SURE_NAT or won < blocks:
        return f"Beyond the rows {best} and {second} cannot be told apart: {best} leads {told}."
    return f"Beyond the rows {best} predicted better than {second}, {told}; so few blocks rule no law out."
