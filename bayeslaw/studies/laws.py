"""Fit several laws to one table and weigh them: one call from names to a forecast over laws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError, check_flag, check_positive, check_type, shown
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.forecasts.weights import SHRINK
from bayeslaw.inference.fitting import fit
from bayeslaw.inference.settings import check_law_and_data, check_settings
from bayeslaw.law.catalogue import load_model
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw, bind
from bayeslaw.studies.running.execution import Execution, check_execution
from bayeslaw.studies.stacking import stack

_ALLOWED = 'names, paths of .toml files or specs, ["chinchilla", "coupled"], or a mapping of names to these'


def fit_laws(
    laws: Iterable[str | Path | Spec] | Mapping[str, str | Path | Spec],
    data: xr.Dataset,
    *,
    along: str | None = None,
    windows: list[float] | None = None,
    shrink: float = SHRINK,
    by_distance: bool = True,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
    **execution: Unpack[Execution],
) -> Mixture:
    """Fit several laws to the same rows and weigh them, for one forecast over all of them.

    Parameters
    ----------
    laws : iterable or mapping
        Shipped names, paths of ``.toml`` files, or specs; each is called by its own name, or as a mapping says.
    data : xarray.Dataset
        From `read_table` or `read_curves`, with any of the laws: a table's other columns come along, so
        that one reading serves all that predict the same output.
    along, windows, shrink, by_distance
        As of `stack`.
    draws, tune, chains, seed, progress
        As of `fit`, for every law and every window.
    **execution
        Where the windows' fits run, and where they are kept, as of `stack`. The laws' own fits run here.

    Returns
    -------
    Mixture
        Forecasts like a fit; ``fits`` holds each law's own.

    Raises
    ------
    InputError
        Naming the law, before anything is fitted, if the data lack what it needs or it predicts
        something else than the first; or the law whose fit is not possible.

    Examples
    --------
    >>> mix = bl.fit_laws(["chinchilla", "coupled"], data)  # doctest: +SKIP
    >>> bl.forecast(mix, {"params": [7e10], "tokens": [1.4e12]})  # doctest: +SKIP
    """
    specs = _specs(laws)
    check_type("fit_laws(laws, data)", data, xr.Dataset, "what read_table or read_curves returned")
    settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
    check_settings(settings)
    check_positive("shrink", shrink, "a number greater than 0")
    check_flag("by_distance", by_distance)
    check_execution("fit_laws", execution)
    _check_alike(specs)
    for name, spec in specs.items():
        _with_name(name, check_law_and_data, "fit_laws", spec, data)
        _with_name(name, _labels, _with_name(name, bind, spec, data))
    fits = {
        name: _with_name(name, fit, spec, data, progress=progress, **settings) for name, spec in specs.items()
    }
    return stack(
        fits, along=along, windows=windows, shrink=shrink, by_distance=by_distance, progress=progress,
        **settings, **execution,
    )  # fmt: skip


def _labels(bound: BoundLaw) -> None:
    """Refuse rows that lack a column of groups."""
    _ = bound.labels


def _with_name(name: str, do: Any, *given: Any, **more: Any) -> Any:
    """Do something of a law; say which law an error is about."""
    try:
        return do(*given, **more)
    except InputError as error:
        raise InputError(f"fit_laws, law {name!r}: {error}") from None


def _specs(laws: Any) -> dict[str, Spec]:
    """Load laws by name."""
    if isinstance(laws, Mapping):
        pairs = list(laws.items())
    elif isinstance(laws, str | Path | Spec | np.ndarray) or not isinstance(laws, Iterable):
        raise InputError(f"laws: found {shown(laws)}, allowed: {_ALLOWED}.")
    else:
        pairs = [(None, law) for law in laws]
    if not pairs:
        raise InputError(f"laws: empty; allowed: {_ALLOWED}.")
    out: dict[str, Spec] = {}
    for given, law in pairs:
        if not isinstance(law, str | Path | Spec) or not isinstance(given, str | None):
            raise InputError(
                f"laws: found {shown(law if isinstance(given, str | None) else given)}, allowed: {_ALLOWED}."
            )
        spec = law if isinstance(law, Spec) else load_model(law)
        name = given or spec.name
        if name in out:
            raise InputError(
                f"laws: two are called {name!r}; name them apart, {{'{name}': …, 'another': …}}."
            )
        out[name] = spec
    return out


def _check_alike(specs: Mapping[str, Spec]) -> None:
    """Refuse laws that cannot share rows and targets, before anything is fitted."""
    (first, one), *others = specs.items()
    for name, spec in others:
        for what, of in (
            ("output", lambda s: s.output.name),
            ("scale of errors", lambda s: s.output.scale),
            ("kind of input", lambda s: "a schedule" if needs_schedule(s) else "columns"),
        ):
            if of(one) != of(spec):
                raise InputError(
                    f"fit_laws, law {name!r}: its {what} is {of(spec)}, that of {first!r} {of(one)}; allowed: laws of "
                    "one output, on one scale of errors, that take the same kind of targets."
                )
