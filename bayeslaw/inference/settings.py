"""Settings of a fit, and what is refused before anything is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayeslaw.core.errors import SEEDS, InputError, check_whole, shown
from bayeslaw.law.spec import Spec

LIMITS: dict[str, tuple[int, int, str]] = {
    "draws": (4, 1_000_000, "a thousand a chain is enough for most fits"),
    "tune": (50, 1_000_000, "with fewer the sampler cannot find its step"),
    "chains": (1, 64, "four are enough; more draws serve better than more chains"),
    "seed": (*SEEDS, "any of them is as good"),
    "bootstrap": (0, 100_000, "a thousand is enough for an interval"),
}
"""The least and the most of each setting, and why."""
MOST_NUMBERS = 500_000_000
"""The largest array of draws by rows, 4 GB: a few of them are in memory at a time."""


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings of a fit that are not allowed, before anything is compiled.

    Parameters
    ----------
    settings : mapping
        Any of draws, tune, chains, seed, bootstrap.

    Raises
    ------
    InputError
    """
    for name, value in settings.items():
        check_whole(name, value, *LIMITS[name])


def check_size(settings: Mapping[str, Any], data: xr.Dataset) -> None:
    """Refuse draws that do not go into memory with the rows at hand.

    Parameters
    ----------
    settings : mapping
        draws and chains, or bootstrap; checked.
    data : xarray.Dataset

    Raises
    ------
    InputError
    """
    rows = max(data.sizes.get("obs", 0), 1)
    draws = int(settings.get("draws", 0)) * int(settings.get("chains", 1))
    for what, size in (("draws × chains × rows", draws), ("bootstrap × rows", settings.get("bootstrap", 0))):
        if size * rows > MOST_NUMBERS:
            raise InputError(
                f"{what}: found {size:,} × {rows:,} rows, {8e-9 * size * rows:.0f} GB a copy, allowed: at most "
                f"{MOST_NUMBERS:,} numbers; take at most {MOST_NUMBERS // rows:,}, or fewer rows."
            )


def check_law_and_data(caller: str, spec: Any, data: Any) -> None:
    """Refuse what is no law, or no dataset to fit it to.

    Parameters
    ----------
    caller : str
        The public function that was called, for the message.
    spec, data : object

    Raises
    ------
    InputError
    """
    if not isinstance(spec, Spec) or not isinstance(data, xr.Dataset):
        raise InputError(
            f"{caller}(spec, data): found {shown(spec) if not isinstance(spec, Spec) else shown(data)}, allowed: "
            "spec comes from load_model, data from read_table or read_curves."
        )
    if spec.traits.counts and not {"n", "c"} <= set(data.variables):
        raise InputError(
            f"model '{spec.name}': a Binomial likelihood counts successes, and the data have no columns n and c; read a table "
            "of counts with read_table, or take StudentT or Normal: change(spec, likelihood=…) / --likelihood."
        )
