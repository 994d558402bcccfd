"""pass@k from counts of samples and correct samples, exactly, with both standard errors.

c / n is an estimate where n does not hang on the outcomes. Where sampling stopped at successes it is not, and
`sampling_checks` says so.

References
----------
Unbiased estimator: arXiv:2107.03374.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check, to_json
from bayeslaw.core.errors import InputError, check_type, check_whole, listed

MOST_K, MOST_KS = 10_000_000, 1000
ADAPTIVE_LEVEL = 1e-3
"""So often n is said to hang together with c where it does not, at most."""
_LEVELS = 8
"""At so many sizes of n problems are compared."""


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
        ``too_few_samples``, the number of problems with n < k. ``attrs["checks"]``: what
        `sampling_checks` found, as JSON (see `bayeslaw.core.check.from_json`).

    Raises
    ------
    InputError
        If the table or a k is malformed.

    Warns
    -----
    UserWarning
        If n hangs together with c, as where sampling stops at successes: then no estimate is unbiased.

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


def sampling_checks(counts: pd.DataFrame, by: Sequence[str]) -> list[Check]:
    """Say whether problems' numbers of samples hang together with their successes.

    Parameters
    ----------
    counts : pandas.DataFrame
        Columns ``problem``, ``n``, ``c`` and those of `by`; as `validate.check_counts` returns it.
    by : sequence of str
        The columns that name a group.

    Returns
    -------
    list of Check
        ``adaptive-sampling``, a warning whose value is z; a note where n was set by the problem: where every
        group has the same n for a problem. Empty where nothing speaks for it, as where n is one number a
        group or varies without regard to success.

    Notes
    -----
    A rank correlation of n and c / n will not do: few samples hold no success more often than many, so that
    the two correlate wherever n varies. Problems are compared at equal n instead. Of two problems the one
    with more samples is thinned to the other's n, in expectation: the chance of a success among them,
    1 − C(n_j−c_j, n_i)/C(n_j, n_i), has the same mean for both if n does not depend on success, and the sum of
    all differences is a U-statistic of mean zero. Its variance is that of its projection on problems, no less
    than that of shares which are 0 or 1. A problem counts once over all groups: if it is easy, it is so for
    every model, and what decides n may be the same for every model too. Judged by Student's t, two-sided at
    `ADAPTIVE_LEVEL`. At most eight sizes of n are told apart, larger ones thinned to the next smaller.
    """
    from scipy.special import stdtr

    z, problems, varying = _hangs_together(counts, by)
    if problems < 2 or 2 * stdtr(problems - 1, -abs(z)) > ADAPTIVE_LEVEL:
        return []
    rule, off = ("stops at successes", "high") if z < 0 else ("goes on after successes", "low")
    fewer, other = ("fewer", "low") if z < 0 else ("more", "high")
    told = (
        f"Problems with {fewer} successes have more samples (z = {z:.1f}, at equal n, over {varying} group(s) whose n "
        "differs between problems)"
    )
    if _set_by_problem(counts, by):
        message = (
            f"{told}, but n was set by the problem, the same for every group: nothing is biased, unless it was set by "
            "these outcomes."
        )
        return [Check("adaptive-sampling", "note", z, message)]
    message = (
        f"{told}, as a sampling rule that {rule} makes it. If n hung on the outcomes, c/n and pass@k "
        f"are too {off}, −log pass@k too {other}, beyond their standard errors: use of every problem the same number of "
        "samples, the first that were drawn, a number chosen without looking at the outcomes (the smallest n hangs on "
        "them, too), or sample again with n fixed beforehand. If n was fixed before sampling, by what was known of the "
        "problems, nothing is biased."
    )
    return [Check("adaptive-sampling", "warn", z, message)]


def _set_by_problem(counts: pd.DataFrame, by: Sequence[str]) -> bool:
    """Return whether most problems are in several groups, each with one n, and these differ."""
    keys = [*(c for c in by if c == "benchmark"), "problem"]
    n = counts.groupby(keys, sort=False)["n"].agg(["min", "max", "size"])
    several = n["size"] > 1
    return bool((n["min"] == n["max"]).all() and several.mean() > 0.5 and n["min"][several].nunique() > 1)


def _hangs_together(counts: pd.DataFrame, by: Sequence[str]) -> tuple[float, int, int]:
    """Return the statistic of `sampling_checks`, how many problems and how many groups it rests on."""
    total, least_variance, varying = 0.0, 0.0, 0
    own: dict[str, float] = {}
    for _, group in counts.groupby(list(by), sort=False) if by else [((), counts)]:
        n, c = (group[name].to_numpy(dtype=float) for name in ("n", "c"))
        if n.min() == n.max():
            continue
        varying += 1
        score, least = _against_others(n, c)
        spread = max(((score - score.mean()) ** 2).sum(), least)
        if spread <= 0:  # nobody solved any, or all of them
            continue
        score = score / np.sqrt(spread)
        total += score.sum() / 2  # a pair stands with both
        least_variance += 1.0
        for problem, value in zip(group["problem"], score - score.mean(), strict=True):
            own[problem] = own.get(problem, 0.0) + value
    variance = max(least_variance, sum(v**2 for v in own.values()) * len(own) / max(len(own) - 1, 1))
    return (float(total / np.sqrt(variance)) if own else 0.0), len(own), varying


def _against_others(n: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, float]:
    """Sum each problem's differences to the others of a group; return the sums and their least variance.

    A difference is positive where the problem with more samples has more success at equal n.
    """
    score, least = np.zeros(len(n)), 0.0
    for few, many, share in _at_equal_n(n, c):
        score[few] += share[many].sum() - many.sum() * share[few]
        score[many] += few.sum() * share[many] - share[few].sum()
        mean = share[few | many].mean()
        least += few.sum() * many.sum() * (few.sum() + many.sum()) * mean * (1 - mean)
    return score, float(least)


def _at_equal_n(n: np.ndarray, c: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, a size of n each: who has about so many samples, who has more, the chance of a success at that size."""
    from scipy.special import gammaln

    sizes = np.unique(n)
    if len(sizes) > _LEVELS:
        sizes = np.unique(np.quantile(n, np.arange(_LEVELS) / _LEVELS, method="lower"))
    for size, larger in itertools.pairwise(sizes):
        left = n - c
        log_none = gammaln(left + 1) - gammaln(np.maximum(left - size, 0) + 1)
        log_none -= gammaln(n + 1) - gammaln(np.maximum(n - size, 0) + 1)
        share = np.where(c == 0, 0.0, np.where(left < size, 1.0, -np.expm1(np.minimum(log_none, 0.0))))
        yield (n >= size) & (n < larger), n >= larger, share
