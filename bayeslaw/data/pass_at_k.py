"""Estimate pass@k from counts of samples and correct samples, exactly, with both standard errors.

c / n is unbiased where n does not depend on the outcomes. Where sampling stopped at successes it is not, and
`sampling_checks` says so.

References
----------
Unbiased estimator: arXiv:2107.03374.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check, to_json
from bayeslaw.core.errors import InputError, check_type, check_whole, listed
from bayeslaw.data.adaptive import sampling_checks
from bayeslaw.data.estimators import sampling_variance, unbiased

MOST_K, MOST_KS = 10_000_000, 1000


def shown_share(n: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return c / n, half a success away from none and all, so that a logarithm has a place for it.

    Parameters
    ----------
    n, c : numpy.ndarray
        Samples and correct samples, of any one shape.

    Returns
    -------
    numpy.ndarray
    """
    n, c = np.asarray(n, dtype=float), np.asarray(c, dtype=float)
    return np.where((c == 0) | (c == n), (c + 0.5) / (n + 1), c / n)


def pass_at_k(
    counts: pd.DataFrame, k: int | Iterable[int] = 1, by: Sequence[str] | None = None
) -> pd.DataFrame:
    """Estimate pass@k from per-problem counts.

    Parameters
    ----------
    counts : pandas.DataFrame
        One row per checkpoint and problem: columns ``n`` (samples) and ``c`` (correct), ``problem``, and the
        columns that name a group (``model``, ``benchmark``).
    k : int or iterable of int
        Numbers of samples.
    by : sequence of str, optional
        The columns that name a group; by default those of benchmark, model, run that are there.

    Returns
    -------
    pandas.DataFrame
        One row per group and k: the group's columns; ``k``; ``pass_at_k``, the unweighted mean over
        problems (exactly zero where nothing is correct, missing where a problem has fewer than k
        samples: nothing is unbiased beyond k = n); ``se_these_problems``, its standard error from
        sampling alone; ``se_new_problems``, with the problems' own sampling too; ``problems``;
        ``too_few_samples``, the number of problems with n < k. ``attrs["checks"]``: what
        `sampling_checks` found, as JSON (see `bayeslaw.core.check.from_json`).

    Raises
    ------
    InputError
        If the table or a k is malformed.

    Warns
    -----
    UserWarning
        If n depends on c, as where sampling stops at successes: then no estimate is unbiased.

    Notes
    -----
    Attempts that are conditioned on each other (coordinated sampling) are not exchangeable: none of
    this applies to them.
    """
    check_type("counts", counts, pd.DataFrame, "a pandas DataFrame of counts")
    if by is None:
        by = [c for c in ("benchmark", "model", "run") if c in counts.columns]
    table, found = estimates(counts, k, listed("by", by, "a list of columns"))
    for check in (c for c in found if c.level == "warn"):
        warnings.warn(f"pass_at_k: {check.message}", UserWarning, stacklevel=2)
    table.attrs["checks"] = to_json(found)
    return table


def estimates(
    counts: pd.DataFrame, k: int | Iterable[int], by: Sequence[str]
) -> tuple[pd.DataFrame, list[Check]]:
    """Return the table of `pass_at_k` for groups named by some columns, and what `sampling_checks` found."""
    from bayeslaw.data.schema import check_counts

    several = isinstance(k, Iterable) and not isinstance(k, str | bytes | Mapping)
    ks = check_ks(listed("k", k, "whole numbers") if several else [k])
    by = list(by)
    counts = check_counts(counts, by)
    groups = counts.groupby(by, sort=False) if by else [((), counts)]
    rows = [
        {**dict(zip(by, name, strict=True)), **_group(group, value)} for name, group in groups for value in ks
    ]
    return pd.DataFrame(rows), sampling_checks(counts, by)


def check_ks(k: Iterable[Any]) -> list[int]:
    """Return numbers of samples, or refuse what is none.

    Parameters
    ----------
    k : iterable
        As a user gave it.

    Returns
    -------
    list of int

    Raises
    ------
    InputError
        If there is none, or one is no whole number from 1 to ten million.
    """
    ks = list(k)
    if not 0 < len(ks) <= MOST_KS:
        raise InputError(
            f"k: found {len(ks)} of them, allowed: one or more whole numbers, at most {MOST_KS}."
        )
    for value in ks:
        check_whole("k", value, 1, MOST_K, "nobody draws more samples of a problem")
    return [int(value) for value in ks]


def _group(group: pd.DataFrame, k: int) -> dict[str, float]:
    """Summarise one group at one k."""
    n, c = group["n"].to_numpy(), group["c"].to_numpy()
    short = int((n < k).sum())
    row = {"k": k, "pass_at_k": np.nan, "se_these_problems": np.nan, "se_new_problems": np.nan}
    if not short:
        estimates = unbiased(n, c, k)
        row["pass_at_k"] = float(estimates.mean())
        row["se_these_problems"] = float(np.sqrt(sampling_variance(n, c, k).sum()) / len(n))
        # The Bayesian bootstrap over problems, in closed form.
        row["se_new_problems"] = float(np.sqrt(estimates.var() / (len(n) + 1)))
    return {**row, "problems": len(n), "too_few_samples": short}
