"""Hold what a report is made of: all that a section may take from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
import xarray as xr

from bayeslaw.inference.fit import Fit
from bayeslaw.reports.cases import Case


@dataclass(frozen=True)
class Content:
    """Fits, studies, and the probability of the intervals.

    Attributes
    ----------
    cases : list of Case
        Fits and mixtures with their checks and forecasts.
    prob : float
        Of all intervals.
    stability, backtest : dict of str to xarray.Dataset
        Studies by name; empty if none is given.
    comparison : pandas.DataFrame or None
    """

    cases: list[Case]
    prob: float
    stability: Mapping[str, xr.Dataset] = field(default_factory=dict)
    backtest: Mapping[str, xr.Dataset] = field(default_factory=dict)
    comparison: pd.DataFrame | None = None

    @property
    def fits(self) -> list[Case]:
        """The cases that are one fit each, not a mixture."""
        return [case for case in self.cases if isinstance(case.fit, Fit)]

    @property
    def given(self) -> set[str]:
        """The names of the studies that are there."""
        there = {"stability": self.stability, "backtest": self.backtest}
        return {name for name, studies in there.items() if studies} | (
            set() if self.comparison is None else {"comparison"}
        )
