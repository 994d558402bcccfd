"""Draws figures: each a matplotlib `Figure` that nothing shows by itself; names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayeslaw.plots.backtest import plot_backtest as plot_backtest
    from bayeslaw.plots.backtest_targets import plot_backtest_targets as plot_backtest_targets
    from bayeslaw.plots.by_k import plot_by_k as plot_by_k
    from bayeslaw.plots.fit import plot_fit as plot_fit
    from bayeslaw.plots.fit import plot_residuals as plot_residuals
    from bayeslaw.plots.forecast import plot_forecast as plot_forecast
    from bayeslaw.plots.parameters import plot_pair as plot_pair
    from bayeslaw.plots.parameters import plot_posterior as plot_posterior
    from bayeslaw.plots.parameters import plot_prior_posterior as plot_prior_posterior
    from bayeslaw.plots.reliability import plot_reliability as plot_reliability
    from bayeslaw.plots.saving import save as save
    from bayeslaw.plots.saving import save_all as save_all
    from bayeslaw.plots.saving import save_backtest as save_backtest
    from bayeslaw.plots.stability import plot_stability as plot_stability

_HOME = {
    "plot_backtest": "backtest", "plot_backtest_targets": "backtest_targets", "plot_by_k": "by_k", "plot_fit": "fit",
    "plot_forecast": "forecast", "plot_pair": "parameters", "plot_posterior": "parameters",
    "plot_prior_posterior": "parameters", "plot_reliability": "reliability", "plot_residuals": "fit",
    "plot_stability": "stability", "save": "saving", "save_all": "saving", "save_backtest": "saving",
}  # fmt: skip

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Load a figure's function on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'bayeslaw.plots' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bayeslaw.plots.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
