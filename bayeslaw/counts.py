"""pass@k from counts of samples and correct samples, exactly, with both standard errors.

References
----------
Unbiased estimator: arXiv:2107.03374.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError, check_type, check_whole, listed

PROBLEM_COLUMNS = ("problem", "n", "c")
MOST_K, MOST_KS = 10_000_000, 1000


def unbiased(n: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
    """Estimate the chance that at least one of k samples is correct.

    Parameters
    ----------
    n, c : numpy.ndarray, shape (problems,)
        Samples and correct samples; k ≤ n.
    k : int
        Number of samples that are drawn.

    Returns
    -------
    numpy.ndarray, shape (problems,)
        1 − C(n−c, k)/C(n, k): exactly 0 where c = 0 and exactly 1 where n − c < k.
    """
    return _unique_pairs(n, c, lambda a, b: _one(a, b, k))


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


def sampling_variance(n: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
    """Return the variance of each problem's estimate over repeated sampling.

    It is the variance of 1 − (1−p)^k under the Bayesian bootstrap of the samples, p ~ Beta(c, n−c):
    p(1−p)/(n+1) at k = 1, and zero where all samples agree.

    Parameters
    ----------
    n, c : numpy.ndarray, shape (problems,)
    k : int

    Returns
    -------
    numpy.ndarray, shape (problems,)
    """

    def one(n: int, c: int) -> float:
        if c == 0 or c == n:
            return 0.0
        # With q = 1 − p: log E q^k, and log(E q^2k / (E q^k)²) as a sum of positive terms, over the
        # smaller of c and k. Differences of log-gammas would lose all digits at n in the millions.
        if k <= c:
            at = np.arange(n, n + k, dtype=float)
            mean, spread = np.log1p(-c / at), np.log1p(k * c / ((at + k) * (at - c)))
        else:
            at = np.arange(n - c, n, dtype=float)
            mean, spread = -np.log1p(k / at), np.log1p(k / at * (k / (at + 2 * k)))
        return float(np.exp(2 * mean.sum() + spread.sum()) * -np.expm1(-spread.sum()))

    return _unique_pairs(n, c, one)


def _one(n: int, c: int, k: int) -> float:
    if c == 0:
        return 0.0
    if n - c < k:
        return 1.0
    # C(n-c, k)/C(n, k) is symmetric in c and k: a product over the smaller of the two.
    few, many = min(c, k), max(c, k)
    return float(-np.expm1(np.log1p(-many / np.arange(n - few + 1, n + 1)).sum()))


def _unique_pairs(n: np.ndarray, c: np.ndarray, function: Callable[[int, int], float]) -> np.ndarray:
    pairs, where = np.unique(np.stack([n, c], axis=1), axis=0, return_inverse=True)
    return np.array([function(int(a), int(b)) for a, b in pairs])[where.ravel()]


def pass_at_k(
    counts: pd.DataFrame, k: int | Iterable[int] = 1, by: Sequence[str] | None = None
) -> pd.DataFrame:
    """Estimate pass@k from per-problem counts.

    Parameters
    ----------
    counts : pandas.DataFrame
        One row a (model, problem): columns ``n`` (samples) and ``c`` (correct), ``problem``, and the
        columns that name a group (``model``, ``benchmark``).
    k : int or iterable of int
        Numbers of samples.
    by : sequence of str, optional
        The columns that name a group; by default those of benchmark, model, run that are there.

    Returns
    -------
    pandas.DataFrame
        One row a group and k: the group's columns; ``k``; ``pass_at_k``, the unweighted mean over
        problems (exactly zero where nothing is correct, missing where a problem has fewer than k
        samples: nothing is unbiased beyond k = n); ``se_these_problems``, its standard error from
        sampling alone; ``se_new_problems``, with the problems' own sampling too; ``problems``;
        ``too_few_samples``, the number of problems with n < k.

    Raises
    ------
    InputError
        If the table or a k is malformed.

    Notes
    -----
    Attempts that are conditioned on each other (coordinated sampling) are not exchangeable: none of
    this applies to them.
    """
    from bayeslaw.validate import check_counts

    check_type("counts", counts, pd.DataFrame, "a pandas DataFrame of counts")
    several = isinstance(k, Iterable) and not isinstance(k, str | bytes | Mapping)
    ks = check_ks(listed("k", k, "whole numbers") if several else [k])
    if by is None:
        by = [c for c in ("benchmark", "model", "run") if c in counts.columns]
    by = listed("by", by, "a list of columns")
    counts = check_counts(counts, by)
    groups = counts.groupby(by, sort=False) if by else [((), counts)]
    rows = [
        {**dict(zip(by, name, strict=True)), **_group(group, value)} for name, group in groups for value in ks
    ]
    return pd.DataFrame(rows)


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
        If there is none or one is no whole number from 1 to a million.
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
