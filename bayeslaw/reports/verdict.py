"""Say whether a fit's numbers can be used, and who failed which checks."""

from __future__ import annotations

from bayeslaw.assess.convergence import SAMPLER_CHECKS
from bayeslaw.core.check import LEVELS
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import Fit
from bayeslaw.reports.cases import Case
from bayeslaw.reports.wording import joined


def verdict_status(cases: list[Case]) -> tuple[str, str]:
    """Say whether the numbers can be used: the gravest level, and a sentence."""
    found = {case.name: case.all_checks for case in cases}
    worst = max((c.level for per in found.values() for c in per), key=LEVELS.index, default="ok")
    bad = [case for case in cases if failed(case)]
    if bad:
        told = "; ".join(f"{case.name}: {', '.join(_failing(case))}" for case in bad)
        names = [name for case in bad for name in _failing(case)]
        return "fail", f"Do not use {joined([case.name for case in bad])} yet: {_who_failed(names)} ({told})."
    sampler = (
        "No check of the sampler failed"
        if any(not isinstance(c.fit, Mixture) and c.fit.is_posterior for c in cases)
        else "Point fits only, no posterior was sampled"
    )
    count = sum(c.level == "warn" for per in found.values() for c in per)
    if worst == "warn":
        return worst, f"{sampler}; {count} warning{'s' if count > 1 else ''} below may change the decision."
    return worst, f"{sampler}, and nothing warns; what to know about the numbers is listed below."


def failed(case: Case) -> bool:
    """Return whether this fit or its forecasts failed a check: of the sampler, or another."""
    return bool(_failing(case))


def failure_words(case: Case) -> str:
    """Say who failed which checks: the sampler, or the data and the law."""
    names = _failing(case)
    return f"{_who_failed(names)} ({', '.join(names)})"


def _failing(case: Case) -> list[str]:
    return list(dict.fromkeys(c.name for c in case.all_checks if c.level == "fail"))


def _who_failed(names: list[str]) -> str:
    """Say whose checks these are; what the sampler did not do must not be said of it."""
    of_sampler = [name in SAMPLER_CHECKS for name in names]
    if all(of_sampler):
        return "the sampler failed a check"
    if any(of_sampler):
        return "the sampler failed a check, and so did the fit itself"
    return "a check failed" if len(names) == 1 else "checks failed"


def checked(case: Case) -> str:
    """Say what was checked, and how many checks ended how."""
    found = case.all_checks
    words = {"ok": "fine", "fail": "FAILED", "warn": "may mislead", "note": "to know of"}
    parts = []
    for level, word in words.items():
        names = [c.name for c in found if c.level == level]
        named = "" if level == "ok" else f" ({', '.join(dict.fromkeys(names))})"
        parts += [f"{len(names)} {word}{named}"] if names else []
    what = ["the weights"]
    if isinstance(case.fit, Fit):
        of_posterior = ["the sampler", "what the data tell of each parameter", "what the prior has a say in"]
        what = [
            "the data",
            *(of_posterior if case.fit.is_posterior else ["the optimiser"]),
            "the residuals",
        ]
    what += ["the distance beyond the data"] if case.ahead else []
    return f"{len(found)} checks of {case.name} ({', '.join(what)}): {', '.join(parts)}."
