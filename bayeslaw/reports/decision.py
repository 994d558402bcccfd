"""Say what a forecast is good for: whether it can tell apart the runs that a decision is between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from bayeslaw.core.numbers import interval_ends, percent
from bayeslaw.forecasts.forecast import forecast
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.reports.ahead import Ahead
from bayeslaw.reports.cases import Case
from bayeslaw.reports.verdict import failed, failure_words
from bayeslaw.reports.wording import joined, pass_at, place

USEFUL = 0.04
"""The relative error that a decision between recipes needs: "about 4 % is the bar of usefulness", since recipes
that papers choose between differ by as much, and seeds alone by up to 3.5 % (arXiv:2410.11840)."""
JUDGED = 0.9
"""Probability of the intervals that a decision is judged by, whichever a report shows: a verdict depends on no option."""
_NEAR_ALL = 90.0
"""From this per cent of solved problems on, what is left to fail says more about a run."""
_MOST_APART = 3
"""How many targets have a sentence each; of more, the best and the worst known are named."""


@dataclass(frozen=True)
class Told:
    """Where one run lands, in the unit in which a reader decides: shares of problems solved, or the output's.

    Attributes
    ----------
    what : str
        "pass@1", or empty for the output itself.
    where : str
        At which target.
    middle, low, high : float
        Median and ends of the interval; shares in per cent.
    unit : str
    """

    what: str
    where: str
    middle: float
    low: float
    high: float
    unit: str

    @property
    def width(self) -> float:
        """The interval's width as a share of the median; NaN where zero lies inside, or an end is not finite."""
        fine = np.isfinite([self.low, self.middle, self.high]).all() and self.low * self.high > 0
        return (self.high - self.low) / abs(self.middle) if fine else np.nan

    @property
    def reach(self) -> float:
        """The distance of the farther end as a share of the median; NaN as `width` is."""
        if np.isnan(self.width):
            return np.nan
        return max(self.high - self.middle, self.middle - self.low) / abs(self.middle)


def told(case: Case, ahead: Ahead, row: int) -> Told:
    """Return where a run lands, in the unit in which a reader decides.

    Parameters
    ----------
    case : Case
    ahead : Ahead
        One of the case's forecasts.
    row : int
        Target or step.

    Returns
    -------
    Told
    """
    ends, unit = ahead.told(row), case.spec.output.unit
    middle, low, high = (ends[name] for name in ("median", "lower", "upper"))
    if case.spec.output.name != "neg_log_pass_at_k":
        return Told("", place(case, ahead, row), middle, low, high, "" if unit == "1" else unit)
    middle, high, low = (100 * float(np.exp(-value)) for value in (middle, low, high))
    return Told(pass_at(case), place(case, ahead, row), middle, low, high, "%")


def deciding(cases: Iterable[Case]) -> list[Case]:
    """Return the cases that decide: those that forecast, but not the laws of a mixture, which speaks for them."""
    cases = list(cases)
    mixed = [fit for case in cases if isinstance(case.fit, Mixture) for fit in case.fit.fits.values()]
    return [case for case in cases if case.ahead and not any(case.fit is fit for fit in mixed)]


def decisions(cases: Iterable[Case]) -> list[str]:
    """Say of each fit what its forecasts can decide.

    Parameters
    ----------
    cases : iterable of Case
        Laws of a mixture are left to the mixture.

    Returns
    -------
    list of str
        For each fit: what it cannot tell apart, or how well it knows its targets, and whether their
        intervals overlap, of 90 % whatever the report shows. A fit that failed a check decides nothing.
    """
    chosen = deciding(cases)
    out = []
    for case in chosen:
        name = case.name
        if len(chosen) == 1:
            name = "This mixture" if isinstance(case.fit, Mixture) else "This fit"
        if failed(case):
            out.append(f"{name} decides nothing yet: {failure_words(case)}.")
            continue
        every = [told(case, ahead, row) for ahead in _judged(case) for row in ahead.rows]
        out += _known(name, every) + _apart(every)
        if any(one.reach <= USEFUL for one in every) and any(c.level == "warn" for c in case.all_checks):
            out.append("What warns below may change that.")
    return out


def _judged(case: Case) -> list[Ahead]:
    """Return the forecasts with the intervals that decide: those shown, or the same asked for anew."""
    return [
        a if a.fc.attrs["prob"] == JUDGED else replace(a, fc=forecast(case.fit, prob=JUDGED, **a.asked))
        for a in case.ahead
    ]


def bar() -> str:
    """Say what the sentences measure against."""
    return f"For scale: a decision between recipes needs about ± {100 * USEFUL:g} %; seeds alone differ by up to 3.5 % (arXiv:2410.11840)."


def _known(name: str, every: list[Told]) -> list[str]:
    """Say what each target's interval leaves open; of many, the best and the worst."""
    if len(every) <= _MOST_APART:
        return [_sentence(name, one) for one in every]
    fine = sorted((one for one in every if np.isfinite(one.width)), key=lambda one: one.reach)
    useful = sum(one.reach <= USEFUL for one in fine)
    head = f"{name} knows {useful or 'none'} of {len(every)} targets to ± {100 * USEFUL:g} % or better."
    shown = [one for one in every if not np.isfinite(one.width)][:1] + fine[:1] + fine[-1:]
    return [head, *(_sentence(name, one) for one in dict.fromkeys(shown))]


def _sentence(name: str, one: Told) -> str:
    per = f"{100 * JUDGED:g} % interval of a run"
    if not np.isfinite([one.low, one.middle, one.high]).all():
        return f"{name} says nothing at {one.where}: the {per} is not finite."
    low, high = interval_ends(one.low, one.high)
    unit = f" {one.unit}" if one.unit else ""
    what = f"a {one.what} of " if one.what else ""
    if np.isnan(one.width):
        return f"{name} cannot tell {what}{low} from {high}{unit} at {one.where}: the {per} holds zero."
    if one.reach <= USEFUL:
        return f"{name} knows {one.what or 'the run'} at {one.where} to ± {percent(one.reach)} %, within the {100 * USEFUL:g} % that a decision between recipes needs: {low} to {high}{unit} is the {per}{_failures(one)}."
    low = f"{low}{unit}" if unit == " %" else low
    return f"{name} cannot tell {what}{low} from {high}{unit} at {one.where}: the {per} is {_times(one.width)} the value{_failures(one)}."


def _failures(one: Told) -> str:
    """Say the share that fails, where nearly all is solved: there it is what differs between runs."""
    if not one.what or one.middle <= _NEAR_ALL:
        return ""
    low, high = interval_ends(100 - one.high, 100 - one.low)
    return f"; {low} to {high} % fail"


def _times(share: float) -> str:
    return f"{share:.1f} times" if share >= 1 else f"{percent(share)} % of"


def _apart(every: list[Told]) -> list[str]:
    """Say which targets' intervals overlap."""
    every = [one for one in every if np.isfinite([one.low, one.high]).all()]
    if len(every) < 2:
        return []
    pairs = list(combinations(every, 2))
    over = [(a, b) for a, b in pairs if max(a.low, b.low) <= min(a.high, b.high)]
    if not over:
        which = "Their two intervals do not" if len(every) == 2 else f"No two of the {len(every)} intervals"
        return [f"{which} overlap: these runs are told apart."]
    shared = "errors that runs share cancel in their difference, which intervals by themselves do not show"
    if len(pairs) == 1:
        a, b = over[0]
        low, high = interval_ends(max(a.low, b.low), min(a.high, b.high))
        unit = f" {a.unit}" if a.unit else ""
        how = f"touch at {low}" if low == high else f"overlap, from {low} to {high}"
        return [f"Their two intervals {how}{unit}: by them alone the runs are not told apart ({shared})."]  # fmt: skip
    if len(over) <= _MOST_APART:
        named = joined([f"{a.where} with {b.where}" for a, b in over])
        return [f"Of the {len(every)} intervals these overlap: {named} ({shared})."]
    which = "All" if len(over) == len(pairs) else f"{len(over)} of the"
    return [f"{which} {len(pairs)} pairs of intervals overlap: by them alone those runs are not told apart ({shared})."]  # fmt: skip
