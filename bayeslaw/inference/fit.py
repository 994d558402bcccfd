"""A fit: the frozen law, the data and everything inferred, in one tree that saves to one file."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr

from bayeslaw.core.errors import InputError, check_type
from bayeslaw.core.storage import lasting
from bayeslaw.inference.methods import METHODS
from bayeslaw.inference.saving import FORMAT, data_hash, write_tree
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw, bind

_PACKAGES = ("bayeslaw", "pymc", "pytensor", "nutpie", "arviz", "numpy", "xarray", "scipy")


@dataclass(frozen=True)
class Fit:
    """A law fitted to data.

    Attributes
    ----------
    spec : Spec
        The law, its references frozen.
    tree : xarray.DataTree
        Groups ``posterior``, ``sample_stats``, ``prior``, ``prior_predictive``,
        ``posterior_predictive`` (method "nuts") or ``point``, ``bootstrap``, ``starts`` (method
        "map"); ``observed_data`` and ``constant_data``. Attributes: the spec's text, the data's
        hash, versions, seed and settings.
    """

    spec: Spec
    tree: xr.DataTree = field(repr=False)

    @property
    def method(self) -> str:
        """How it was fitted: "nuts" or "map"."""
        return self.tree.attrs["method"]

    @property
    def is_posterior(self) -> bool:
        """Whether its draws are of a posterior, rather than a point fit's bootstrap."""
        return METHODS[self.method].posterior

    @property
    def settings(self) -> dict[str, Any]:
        """What was asked for: draws, tune, chains, seed, …."""
        return json.loads(self.tree.attrs["settings"])

    @property
    def data(self) -> xr.Dataset:
        """The rows it was fitted to, as `read_table` returned them."""
        constant = self.tree["constant_data"].to_dataset()
        observed = self.tree["observed_data"].to_dataset()
        return constant.merge(observed, join="exact").assign_attrs(constant.attrs)

    @cached_property
    def bound(self) -> BoundLaw:
        """The law bound to these rows."""
        return bind(self.spec, self.data)

    @property
    def draws(self) -> xr.Dataset:
        """The parameters' draws: the posterior, or the bootstrap of a point fit."""
        return self.tree[METHODS[self.method].draws].to_dataset()

    def __repr__(self) -> str:
        return rendered(self, "text") or object.__repr__(self)

    def _repr_html_(self) -> str | None:
        return rendered(self, "html")

    def save(self, path: str | os.PathLike) -> Path:
        """Write the fit to one netCDF file, whole or not at all.

        Parameters
        ----------
        path : path

        Returns
        -------
        pathlib.Path

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        return write_tree(self.tree, path)


def check_fit(what: str, fit: object, posterior: bool = False) -> None:
    """Refuse what is no fit.

    Parameters
    ----------
    what : str
        What to call it in the message.
    fit : object
    posterior : bool
        Whether a point fit will not do.

    Raises
    ------
    InputError
    """
    check_type(what, fit, Fit, "what fit(spec, data) or load_fit(path) returned")
    if posterior and not fit.is_posterior:
        raise InputError(f"{what}: a point fit has no posterior; fit with method='nuts'.")


def rendered(shown: object, how: str) -> str | None:
    """Return how a fit, or what is made of fits, shows itself; None where even that fails.

    Parameters
    ----------
    shown : Fit or Mixture
    how : str
        "text" or "html".

    Returns
    -------
    str or None
    """
    try:
        # By name, as the package loads its public names: what checks and draws a fit stands behind it
        # in the order of modules, and only showing one, never computing with it, looks ahead.
        return getattr(importlib.import_module("bayeslaw.reports.shown"), how)(shown)
    except Exception:  # a repr must not raise: it is what a debugger shows of a broken fit
        return None


def make_fit(
    bound: BoundLaw, method: str, settings: Mapping[str, Any], groups: Mapping[str, xr.Dataset]
) -> Fit:
    """Put what was inferred together with what it was inferred from.

    Parameters
    ----------
    bound : BoundLaw
    method : str
    settings : mapping
    groups : mapping of str to xarray.Dataset

    Returns
    -------
    Fit
    """
    spec, data = bound.spec, lasting(bound.data)
    if "sampling_error" not in data:
        data = data.assign(sampling_error=xr.zeros_like(data[spec.output.name]))
    observed = data[[spec.output.name]]
    constant = data.drop_vars(spec.output.name)
    tree = xr.DataTree.from_dict({
        **{name: lasting(group) for name, group in groups.items()},
        "observed_data": observed.drop_vars(list(set(observed.coords) - {"obs"})).drop_attrs(deep=False),
        "constant_data": constant,
    })  # fmt: skip
    tree.attrs = {
        "bayeslaw_format": FORMAT, "model": spec.name, "spec": spec.to_toml(), "method": method,
        "settings": json.dumps(dict(settings), sort_keys=True), "data_hash": data_hash(data),
        "versions": _versions(),
    }  # fmt: skip
    return Fit(spec, tree)


@cache
def _versions() -> str:
    return json.dumps({name: version(name) for name in _PACKAGES})
