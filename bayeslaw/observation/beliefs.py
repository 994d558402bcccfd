"""What is believed of a curve's discrepancy at a row: learned from residuals, carried along gaps, merged.

A *belief* about x_i is a normal in two numbers, its mean and its variance as a share of scale²; it
includes the stationary prior, of which there is therefore one too many whenever two are merged. The
process is the same in both directions, so one formula carries beliefs up to parents and down to
children. Neither a difference of precisions nor a division by a correlation occurs: tiny and huge
scales, errors and gaps lose no digits. All three formulas take floats and arrays alike.
"""

from __future__ import annotations

import numpy as np

Number = float | np.ndarray
Belief = tuple[Number, Number]
PRIOR = (0.0, 1.0)
"""What is known of x before any data."""
_LOG_2PI = float(np.log(2 * np.pi))


def observe(belief: Belief, residual: Number, variance: Number, power: Number) -> tuple[Belief, Number]:
    """Learn from a row's residual.

    Parameters
    ----------
    belief : (mean, share)
        About x at the row.
    residual, variance : float or array
        The residual, and its variance around x.
    power : float or array
        scale².

    Returns
    -------
    belief, float or array
        The new one, and the residual's log density under the old one.
    """
    mean, share = belief
    total = power * share + variance
    miss = residual - mean
    updated = (mean + power * share / total * miss, share * (variance / total))
    return updated, -0.5 * (_LOG_2PI + np.log(total) + miss * miss / total)


def carry(belief: Belief, fade: Number) -> Belief:
    """Carry a belief to the row at the other end of a gap.

    Parameters
    ----------
    belief : (mean, share)
    fade : float or array
        The correlation less one, expm1(-gap / length), which keeps its digits where the gap is tiny.

    Returns
    -------
    belief
    """
    mean, share = belief
    keep = 1 + fade
    return keep * mean, keep * keep * share - fade * (2 + fade)


def merge(first: Belief, second: Belief, power: Number) -> tuple[Belief, Number]:
    """Merge two beliefs about one x that rest on separate data.

    Parameters
    ----------
    first, second : (mean, share)
    power : float or array
        scale².

    Returns
    -------
    belief, float or array
        The merged one, and the log of how much likelier the two sets of data are together than
        apart.
    """
    (mean1, share1), (mean2, share2) = first, second
    both = share1 + share2 * (1 - share1)
    apart = mean1 - mean2
    excess = apart * apart - share2 * mean1 * mean1 - share1 * mean2 * mean2
    merged = ((mean1 * share2 + mean2 * share1) / both, share1 * (share2 / both))
    return merged, -0.5 * (np.log(both) + excess / (power * both))
