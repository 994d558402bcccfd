"""Collect what a report is about: each fit with its checks, the point fit beside it, and what both predict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.assess.checks import checks, worst_level
from bayeslaw.core.check import Check, from_json
from bayeslaw.core.errors import InputError, listed, shown
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitting import fit as fit_again
from bayeslaw.law.spec import Spec
from bayeslaw.reports.ahead import Ahead, forecasts_of

BOOTSTRAP = 200
"""Resamples of the point fit that stands beside a posterior."""


@dataclass(frozen=True)
class Case:
    """A fit or a mixture, and all that a report says of it.

    Attributes
    ----------
    name : str
        Unique within the report.
    fit : Fit or Mixture
    checks : tuple of Check
        Of the fit.
    point : Fit or None
        The point fit beside a posterior.
    reason : str
        Why there is none, if one was tried.
    ahead : tuple of Ahead
    missing : str
        Why there is no forecast.
    """

    name: str
    fit: Fit | Mixture
    checks: tuple[Check, ...] = ()
    point: Fit | None = None
    reason: str = ""
    ahead: tuple[Ahead, ...] = field(default=(), repr=False)
    missing: str = ""

    @property
    def spec(self) -> Spec:
        """The law; a mixture's first."""
        return members(self.fit)[0][0].spec

    @property
    def all_checks(self) -> tuple[Check, ...]:
        """The fit's checks and its forecasts', each once."""
        of_forecasts = (check for ahead in self.ahead for check in from_json(ahead.fc.attrs["checks"]))
        return tuple(dict.fromkeys((*self.checks, *of_forecasts)))


def make_cases(
    fits: Fit | Mixture | Iterable[Fit | Mixture] | Mapping[str, Fit | Mixture],
    targets: Mapping[str, Any] | pd.DataFrame | None,
    schedule: str | None,
    prob: float,
    group: Mapping[str, str] | None = None,
) -> list[Case]:
    """Check every fit, fit the point estimate beside it, and forecast with both.

    Parameters
    ----------
    fits : Fit, Mixture, or iterable of them
        Or a mapping of names to them. A mixture's laws follow it, each as a case of its own.
    targets, schedule, group
        As in `forecast`; each law takes what it needs. None: see `default_targets`; laws along a
        schedule are forecast to the last seen step of each run's own. Where parameters are pooled and no
        group is named, a forecast is made for each of few groups, or for a new one.
    prob : float

    Returns
    -------
    list of Case

    Raises
    ------
    InputError
        If one is no fit, or targets or schedule do not suit a law.
    """
    named = _unique(_flat(fits))
    specs = [members(fit)[0][0].spec for fit in named.values()]
    for name, value, wanted in (("schedule", schedule, True), ("targets", targets, False)):
        if value is not None and not any(needs_schedule(spec) == wanted for spec in specs):
            raise InputError(
                f"report: {name} given, but {', '.join(dict.fromkeys(s.name for s in specs))} forecast "
                f"{'at targets: targets={…} / --at' if wanted else 'along a schedule: schedule=… / --schedule'}."
            )
    if group is not None and schedule is None:
        raise InputError(
            f"report: group {group!r} given without a schedule; it names the group of the schedule's run."
        )
    asked = {"targets": targets, "schedule": schedule, "group": group}
    cases = [_case(name, fit, asked, prob, specs) for name, fit in named.items()]
    return [_with_laws(case, cases) if isinstance(case.fit, Mixture) else case for case in cases]


def _with_laws(case: Case, cases: Sequence[Case]) -> Case:
    """Let a mixture fail with its laws: draws of a fit that failed are in it."""
    weighed = [fit for fit, _ in members(case.fit)]
    bad = [c.name for c in cases if any(c.fit is fit for fit in weighed) and worst_level(c.checks) == "fail"]
    if not bad:
        return case
    message = (
        f"Fits in the mixture failed a check: {', '.join(bad)}; make these sound first, or leave them out."
    )
    return replace(case, checks=(*case.checks, Check("laws", "fail", float(len(bad)), message)))


def _flat(fits: Any) -> list[tuple[str, Fit | Mixture]]:
    """Return all fits with the names that were given to them, a mixture before its laws, each once."""
    if isinstance(fits, Fit | Mixture):
        fits = [fits]
    given = fits.items() if isinstance(fits, Mapping) else [("", f) for f in _iterated(fits)]
    out: list[tuple[str, Fit | Mixture]] = []
    for name, fit in given:
        if not isinstance(fit, Fit | Mixture):
            raise InputError(
                f"report(fits): found {shown(fit)}, allowed: what fit, load_fit or stack returned, or a list of them."
            )
        own = (
            [(n, one) for n, one in fit.fits.items() if fit.weights[n] > 0]
            if isinstance(fit, Mixture)
            else []
        )
        new = [(str(name), fit), *own]
        out += [(n, one) for n, one in new if not any(one is other for _, other in out)]
    if not out:
        raise InputError("report(fits): found no fit, allowed: one fit or more.")
    return out


def _iterated(fits: Any) -> list[Any]:
    series = isinstance(fits, Iterable) and not isinstance(fits, str | bytes)
    return listed("report(fits)", fits, "one fit or more") if series else [fits]


def _unique(fits: list[tuple[str, Fit | Mixture]]) -> dict[str, Fit | Mixture]:
    """Name fits as given, or after their laws; where that is not enough, after method and place too."""
    plain = [n or ("mixture" if isinstance(f, Mixture) else f.spec.name) for n, f in fits]
    fuller = [
        name
        if plain.count(name) == 1 or isinstance(fit, Mixture)
        else f"{name}, {'posterior' if fit.is_posterior else 'point fit'}"
        for name, (_, fit) in zip(plain, fits, strict=True)
    ]
    out = {}
    for i, name in enumerate(fuller):
        number = f" {1 + fuller[:i].count(name)}" if fuller.count(name) > 1 else ""
        out[name + number] = fits[i][1]
    return out


def _case(
    name: str, fit: Fit | Mixture, asked: Mapping[str, Any], prob: float, specs: Sequence[Spec]
) -> Case:
    """Make one case; what fails on the way is said, but for bad input."""
    if isinstance(fit, Mixture):
        ahead, missing = forecasts_of(name, fit, None, asked, prob, specs)
        return Case(name, fit, ahead=ahead, missing=missing)
    point, reason = _point(fit) if fit.is_posterior else (None, "")
    if not fit.draws.sizes["draw"]:
        missing = "This point fit has no bootstrap, so no interval: fit again with bootstrap=1000 (--bootstrap 1000)."
        return Case(name, fit, tuple(checks(fit)), missing=missing)
    ahead, missing = forecasts_of(name, fit, point, asked, prob, specs)
    return Case(name, fit, tuple(checks(fit)), point, reason, ahead, missing)


def _point(fit: Fit) -> tuple[Fit | None, str]:
    """Fit the source's point estimate to the same rows; or say why it cannot be."""
    if fit.spec.pooled:
        groups = " and ".join(fit.spec.group_columns)
        return (
            None,
            f"it would be one law for every {groups}; fit one of them by itself to compare (where=[…]).",
        )
    data = fit.data.drop_vars("outlying", errors="ignore")
    try:
        return fit_again(fit.spec, data, "map", bootstrap=BOOTSTRAP, seed=0, progress=False), ""
    # A posterior's report must not hang on the baseline beside it.
    except (InputError, RuntimeError, ArithmeticError, np.linalg.LinAlgError) as error:
        return None, " ".join(str(error).split()) or type(error).__name__
