"""Test whether problems' numbers of samples depend on their successes, as where sampling stops at successes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check

ADAPTIVE_LEVEL = 1e-3
"""How often, at most, n is said to depend on c where it does not."""
_LEVELS = 8
"""At how many sizes of n problems are compared."""


def sampling_checks(counts: pd.DataFrame, by: Sequence[str]) -> list[Check]:
    """Test whether problems' numbers of samples depend on their successes.

    Parameters
    ----------
    counts : pandas.DataFrame
        Columns ``problem``, ``n``, ``c`` and those of `by`; as `schema.check_counts` returns it.
    by : sequence of str
        The columns that name a group.

    Returns
    -------
    list of Check
        ``adaptive-sampling``, a warning whose value is z; a note where n was set by the problem: where every
        group has the same n for a problem. Empty where nothing speaks for it, as where n is one number per
        group or varies without regard to success.

    Notes
    -----
    A rank correlation of n and c / n will not do: few samples hold no success more often than many, so that
    the two correlate wherever n varies. Problems are compared at equal n instead. Of two problems the one
    with more samples is thinned to the other's n, in expectation: the chance of a success among them,
    1 − C(n_j−c_j, n_i)/C(n_j, n_i), has the same mean for both if n does not depend on success, and the sum of
    all differences is a U-statistic of mean zero. Its variance is that of its projection on problems, no less
    than that of shares which are 0 or 1. A problem counts once over all groups: if it is easy, it is so for
    every checkpoint, and what decides n may be the same for every one too. Judged by Student's t, two-sided at
    `ADAPTIVE_LEVEL`. At most eight sizes of n are told apart, larger ones thinned to the next smaller.
    """
    from scipy.special import stdtr

    z, problems, varying = _dependence(counts, by)
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
        f"{told}, as a sampling rule that {rule} makes it. If n depended on the outcomes, c/n and pass@k "
        f"are too {off}, −log pass@k too {other}, beyond their standard errors: use of every problem the same number of "
        "samples, the first that were drawn, a number chosen without looking at the outcomes (the smallest n depends on "
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


def _dependence(counts: pd.DataFrame, by: Sequence[str]) -> tuple[float, int, int]:
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
    """Yield, for each size of n: who has about so many samples, who has more, and the chance of a success at that size."""
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
