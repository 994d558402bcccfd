"""Bayesian inference of scaling laws: posteriors, checks and honest forecasts.

Everything a user calls is here, ``import bayeslaw as bl``; names load on first use, so that the
import itself is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayeslaw import plots as plots
    from bayeslaw.backtesting import backtest
    from bayeslaw.by_k import stability_by_k
    from bayeslaw.catalogue import change, load_model, models, resolve
    from bayeslaw.check import Check
    from bayeslaw.comparison import compare
    from bayeslaw.counts import pass_at_k
    from bayeslaw.curves import read_curves
    from bayeslaw.diagnostics import checks, log_likelihood, summary
    from bayeslaw.errors import InputError
    from bayeslaw.forecasting import forecast
    from bayeslaw.inference import compile, fit
    from bayeslaw.law import to_sampling
    from bayeslaw.mixture import Mixture
    from bayeslaw.reporting import report
    from bayeslaw.result import Fit, load_fit
    from bayeslaw.schedules import Schedule, parse_schedule
    from bayeslaw.spans import stability, stable_spans
    from bayeslaw.spec import Spec
    from bayeslaw.stacking import stack
    from bayeslaw.tables import read_table

_HOME = {
    "Check": "check", "Fit": "result", "InputError": "errors", "Mixture": "mixture", "Schedule": "schedules", "Spec": "spec",
    "backtest": "backtesting", "change": "catalogue", "checks": "diagnostics", "compare": "comparison", "compile": "inference", "fit": "inference",
    "forecast": "forecasting", "load_fit": "result", "load_model": "catalogue",
    "log_likelihood": "diagnostics", "models": "catalogue", "parse_schedule": "schedules",
    "pass_at_k": "counts", "read_curves": "curves", "read_table": "tables", "report": "reporting", "resolve": "catalogue",
    "stability": "spans", "stability_by_k": "by_k", "stable_spans": "spans", "stack": "stacking", "summary": "diagnostics", "to_sampling": "law",
}  # fmt: skip

__version__ = "0.1.0"
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
