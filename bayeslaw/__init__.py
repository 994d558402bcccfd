"""Bayesian inference of scaling laws: posteriors, checks and honest forecasts.

Everything a user calls is here, ``import bayeslaw as bl``; names load on first use, so that the
import itself is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bayeslaw.core.version import VERSION

if TYPE_CHECKING:
    from bayeslaw import plots as plots
    from bayeslaw.assess.checks import checks
    from bayeslaw.assess.groups import groups
    from bayeslaw.assess.likelihood import log_likelihood
    from bayeslaw.assess.summary import summary
    from bayeslaw.core.check import Check
    from bayeslaw.core.errors import InputError
    from bayeslaw.data.curves import read_curves
    from bayeslaw.data.pass_at_k import pass_at_k
    from bayeslaw.data.tables import read_table
    from bayeslaw.forecasts.contrast import contrast
    from bayeslaw.forecasts.forecast import forecast
    from bayeslaw.forecasts.mixture import Mixture
    from bayeslaw.inference.fit import Fit
    from bayeslaw.inference.fitting import compile, fit, pymc_model
    from bayeslaw.inference.loading import load_fit
    from bayeslaw.law.catalogue import change, load_model, models, resolve
    from bayeslaw.law.evaluate import to_sampling
    from bayeslaw.law.schedules import Schedule, parse_schedule
    from bayeslaw.law.spec import Spec
    from bayeslaw.reports.build import report
    from bayeslaw.studies.backtest.study import backtest
    from bayeslaw.studies.compare import compare
    from bayeslaw.studies.laws import fit_laws
    from bayeslaw.studies.stability.over_k import stability_by_k
    from bayeslaw.studies.stability.study import stability, stable_spans
    from bayeslaw.studies.stacking import stack

_HOME = {
    "Check": "core.check", "Fit": "inference.fit", "InputError": "core.errors", "Mixture": "forecasts.mixture", "Schedule": "law.schedules", "Spec": "law.spec",
    "backtest": "studies.backtest.study", "contrast": "forecasts.contrast", "groups": "assess.groups", "change": "law.catalogue", "checks": "assess.checks", "compare": "studies.compare", "compile": "inference.fitting", "fit": "inference.fitting", "fit_laws": "studies.laws",
    "forecast": "forecasts.forecast", "load_fit": "inference.loading", "load_model": "law.catalogue",
    "log_likelihood": "assess.likelihood", "models": "law.catalogue", "parse_schedule": "law.schedules",
    "pass_at_k": "data.pass_at_k", "pymc_model": "inference.fitting", "read_curves": "data.curves", "read_table": "data.tables", "report": "reports.build", "resolve": "law.catalogue",
    "stability": "studies.stability.study", "stability_by_k": "studies.stability.over_k", "stable_spans": "studies.stability.study", "stack": "studies.stacking", "summary": "assess.summary", "to_sampling": "law.evaluate",
}  # fmt: skip

__version__ = VERSION
__all__ = [*sorted(_HOME), "plots"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name == "plots":
        return importlib.import_module("bayeslaw.plots")
    if name not in _HOME:
        raise AttributeError(f"module 'bayeslaw' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"bayeslaw.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
