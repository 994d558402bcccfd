"""Lists how rows may scatter around a law: a row of a table for each observation model says what it can do.

A row of `FAMILIES` is what a model file may name under ``[likelihood]``, one of `KERNELS` what it may name
under ``[discrepancy]``. Code that needs to know how rows scatter reads the row; it never compares names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


def _success_rate(values: np.ndarray) -> np.ndarray:
    return np.exp(-values)


@dataclass(frozen=True)
class Family:
    """A likelihood.

    Attributes
    ----------
    module : str
        The module of `bayeslaw.observation` whose ``observe`` makes the observation model.
    noise : tuple of str
        The parameters it needs in ``[likelihood]``: ``sigma``, the scale of run noise, and those of its shape. Beside
        a discrepancy run noise is normal, of scale sigma.
    optional : tuple of str
        Parameters that it may have: ``sigma_slope``, how fast the scale of run noise changes along an input.
    counts : bool
        Whether rows are numbers of successes ``c`` of ``n`` samples. The output is then inferred, scatters
        around the law as normal rows do, and rows without a success stay.
    shifts : bool
        Whether outlying rows may have shifts of their own.
    shown_unit : str or None
        The unit in which rows are compared with what was observed; None: that of the output.
    to_shown : callable
        Maps the output to that unit.
    density_of : str
        What log densities are of: fits compare only where it is the same.
    """

    module: str
    noise: tuple[str, ...]
    optional: tuple[str, ...] = ()
    counts: bool = False
    shifts: bool = True
    shown_unit: str | None = None
    to_shown: Callable[[np.ndarray], np.ndarray] = _as_it_is
    density_of: str = "the output"


@dataclass(frozen=True)
class Kernel:
    """How a discrepancy is correlated.

    Attributes
    ----------
    module : str
        The module of `bayeslaw.observation` whose ``observe`` makes the observation model.
    length : bool
        Whether it has a length.
    along_runs : bool
        Whether it runs along one column of loss curves, each run by itself (``within``), rather than over
        inputs of the law. Such rows are losses: they are no counts, and have no shifts.
    marginalised : bool
        Whether its scale and length are marginalised in the density, and drawn afterwards.
    """

    module: str
    length: bool = True
    along_runs: bool = False
    marginalised: bool = True


FAMILIES: dict[str, Family] = {
    "StudentT": Family("independent", ("sigma", "nu"), ("sigma_slope",)),
    "Normal": Family("independent", ("sigma",), ("sigma_slope",)),
    "Binomial": Family(
        "counts", ("sigma",), counts=True, shifts=False, shown_unit="share", to_shown=_success_rate, density_of="counts",
    ),
}  # fmt: skip
KERNELS: dict[str, Kernel] = {
    "matern32": Kernel("discrepancy"),
    "matern52": Kernel("discrepancy"),
    "brownian": Kernel("discrepancy", length=False),
    "exponential": Kernel("runs", along_runs=True, marginalised=False),
}
