"""Checks of a discrepancy: whether the data tell it from the law and from noise, and which rows are out."""

from __future__ import annotations

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.data.row_names import row_names
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.values import fit_values
from bayeslaw.law.priors import prior_sd, sampled
from bayeslaw.observation.discrepancy_sizes import SLOPE, discrepancy_scale
from bayeslaw.observation.shifts import BENT, COLUMN

UNTOLD = 0.8
"""Share of the prior's sd from which the data say little of the discrepancy's size."""
TIED = -0.7
"""Correlation of log sizes below which discrepancy and run noise are one to the data."""


def discrepancy_checks(fit: Fit) -> list[Check]:
    """Check what a fit with a discrepancy can tell apart.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    list of Check
        ``discrepancy-size`` (is it the prior's?), ``discrepancy-noise`` and, where rows have shifts,
        ``outliers``, or may be a bend, ``bend``; empty without a discrepancy.
    """
    if fit.spec.discrepancy is None:
        return []
    return [*_size(fit), *_noise(fit), *_outliers(fit), *_bend(fit)]


def _size(fit: Fit) -> list[Check]:
    """Say whether the data tell the size that intervals beyond them rest on: where its slope wanders, the slope's."""
    name = next((n for n in (SLOPE, "discrepancy_scale") if n in sampled(fit.spec)), None)
    if name is None:
        return []
    parameter = sampled(fit.spec)[name]
    share = float(np.log(fit.draws[name].values).std() / prior_sd(parameter))
    (low, high), unit = parameter.prior_90, parameter.unit.removeprefix("1 ")
    what = "how far the law's slope wanders" if name == SLOPE else "how far the curve lies from the law"
    if share < UNTOLD:
        message = f"The data say {what} ({100 * share:.0f} % of the prior's sd)."
        return [Check("discrepancy-size", "ok", share, message)]
    message = (
        f"The data cannot tell {what} ({100 * share:.0f} % of the prior's sd): intervals "
        f"beyond the data rest on the prior of its size, [{low:g}, {high:g}] {unit}. Fit again with half and twice "
        f"that, change(spec, prior={{'{name}': (low, high)}}), and see whether the decision stands."
    )
    return [Check("discrepancy-size", "note", share, message)]


def _noise(fit: Fit) -> list[Check]:
    if "sigma" not in sampled(fit.spec):
        return []
    values = fit_values(fit)
    logs = [np.log(np.ravel(v)) for v in (discrepancy_scale(fit.spec, values), values["sigma"])]
    if logs[0].std() == 0:
        return []
    tie = float(np.corrcoef(*logs)[0, 1])
    if tie > TIED:
        return [Check("discrepancy-noise", "ok", tie, f"The data tell the curve's discrepancy from run noise (correlation {tie:.2f}).")]  # fmt: skip
    message = (
        f"The data can hardly tell the curve's discrepancy from run noise (correlation {tie:.2f}): rows lie too far apart. The "
        "forecast's run holds for both together; do not read either alone. Repeated runs at the same inputs would tell."
    )
    return [Check("discrepancy-noise", "note", tie, message)]


def _outliers(fit: Fit) -> list[Check]:
    count, named = _far(fit, COLUMN)
    if not count:
        return []
    message = (
        f"{count} row(s) lie far from their neighbours and have a shift of their own (on the scale of errors): {named}. "
        "They neither widen the run noise nor bend the curve; look at them: what made them may happen to the next run."
    )
    return [Check("outliers", "warn", float(count), message)]


def _bend(fit: Fit) -> list[Check]:
    count, named = _far(fit, BENT)
    if not count:
        return []
    place = fit.data["obs"].values[np.argmax(np.abs(fit.data[BENT].values))] + 1
    message = (
        f"{count} row(s) towards the edge of the data lie far from what the others lead to expect (on the scale of errors): "
        f"{named}. A curve that bends there and bad runs look the same, so they count in full. Look at them: drop bad runs "
        f"(where='row!={place}', the table's row); otherwise the law lacks a bend, and what it says beyond the data rests on its discrepancy alone."
    )
    return [Check("bend", "warn", float(count), message)]


def _far(fit: Fit, column: str) -> tuple[int, str]:
    """Return how many rows have an entry in a column of gaps, and the largest by name."""
    gap = fit.data[column].values if column in fit.data else np.zeros(0)
    far = np.argsort(-np.abs(gap))[: int((gap != 0).sum())]
    names = row_names(fit.data, far[:5]) if len(far) else []
    more = f" and {len(far) - 5} more" if len(far) > 5 else ""
    return len(far), ", ".join(f"{n} ({gap[i]:+.2g})" for n, i in zip(names, far, strict=False)) + more
