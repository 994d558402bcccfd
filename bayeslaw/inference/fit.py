"""A fit: the frozen law, the data and everything inferred, in one tree that saves to one file."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from bayeslaw.core.check import from_json
from bayeslaw.core.errors import InputError, check_type
from bayeslaw.core.files import as_path, check_place, write_bytes
from bayeslaw.core.storage import lasting, restored, storable
from bayeslaw.inference.methods import METHODS
from bayeslaw.law.catalogue import parse_toml
from bayeslaw.law.evaluate import law_inputs, law_on_scale
from bayeslaw.law.spec import Spec
from bayeslaw.observation.base import Conditional
from bayeslaw.observation.bound import BoundLaw, bind

FORMAT = 1
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
        path = check_place(path)
        tree = _each_group(self.tree, lasting)
        tree.attrs["content_hash"] = content_hash(tree)
        # In memory first: HDF5 does not survive a disk that fills while it writes.
        return write_bytes(path, _each_group(tree, storable).to_netcdf(engine="h5netcdf"))


def _each_group(tree: xr.DataTree, change: Callable[[xr.Dataset], xr.Dataset]) -> xr.DataTree:
    return xr.DataTree.from_dict({n.path: change(n.to_dataset(inherit=False)) for n in tree.subtree})


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


def load_fit(path: str | os.PathLike) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If there is no such file, or it is not a fit. Nothing in it is executed: the law is parsed
        like any model file.
    """
    path = as_path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file.")
    try:
        with h5py.File(path):  # h5netcdf leaves noise behind when this fails
            pass
        # A unit such as "days" does not make a column a date.
        with xr.open_datatree(path, engine="h5netcdf", decode_times=False) as opened:
            tree = _each_group(opened.load(), restored)
    except Exception as error:  # h5py raises many kinds; all mean the same to a user
        raise InputError(f"{path}: cannot be read as a fit ({error}).") from None
    attrs = tree.attrs
    texts = (attrs.get(name) for name in ("spec", "model", "method", "settings", "data_hash", "versions"))
    whole = all(isinstance(text, str) for text in texts)
    if not whole or not np.array_equal(attrs.get("bayeslaw_format"), FORMAT):
        raise InputError(
            f"{path}: not a fit of this version of bayeslaw; make it with `bayeslaw fit … -o FILE` or fit.save(FILE)."
        )
    if attrs["method"] not in METHODS:
        raise InputError(f"{path}: unknown method {attrs['method']!r}; allowed: {', '.join(METHODS)}.")
    needed = (*METHODS[attrs["method"]].groups, "observed_data", "constant_data")
    if lacking := [group for group in needed if group not in tree.children]:
        raise InputError(f"{path}: the fit lacks {', '.join(lacking)}; it is damaged, fit again.")
    try:
        fit = Fit(parse_toml(attrs["spec"], attrs["model"]), tree)
        _check_contents(fit)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: the fit is damaged ({error}); fit again.") from None
    return fit


def _check_contents(fit: Fit) -> None:
    """Raise if a fit that was read is not what `make_fit` made: its parameters, its data, its texts."""
    spec = fit.spec
    if fit.tree.attrs.pop("content_hash") != content_hash(fit.tree):
        raise ValueError("its contents do not have the hash that was saved, so it was altered")
    law_inputs(spec, fit.data)
    fit.data[spec.output.name]
    from_json(fit.data.attrs.get("checks", "[]"))
    if not isinstance(fit.settings, dict):
        raise TypeError("its settings are no table")
    noise = spec.noise.values() if fit.is_posterior else ()
    free = [n for p in (*spec.parameters.values(), *noise) if p.fixed is None for n in (p.names or (p.name,))]
    for name in (*free, *spec.constants):
        values = fit.draws[name]
        if values.dims != ("chain", "draw") or values.dtype.kind != "f":
            raise ValueError(f"the draws of {name} have dims {values.dims} and type {values.dtype}")


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


def data_hash(data: xr.Dataset) -> str:
    """Return a SHA-256 of a dataset's names and values, whatever the order of its variables."""
    digest = hashlib.sha256()
    for name in sorted(map(str, data.variables)):
        values = data[name].values
        digest.update(name.encode("utf-8", "surrogatepass"))
        if values.dtype.kind in "fiub":
            digest.update(np.ascontiguousarray(values, dtype=float).tobytes())
        else:
            digest.update("\0".join(map(str, values.ravel())).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def content_hash(tree: xr.DataTree) -> str:
    """Return a SHA-256 of a tree's groups, their names, values and attributes."""
    digest = hashlib.sha256()
    for node in sorted(tree.subtree, key=lambda n: n.path):
        group = node.to_dataset(inherit=False)
        attrs = sorted((name, str(value)) for name, value in group.attrs.items())
        digest.update(f"{node.path} {attrs} {data_hash(group)}".encode())
    return digest.hexdigest()


def flat_values(draws: xr.Dataset, thin: int = 1) -> dict[str, np.ndarray]:
    """Return draws as columns of shape (draws, 1), for evaluation over rows.

    Parameters
    ----------
    draws : xarray.Dataset
        Scalars over chain and draw, or over one dim.
    thin : int
        Keep every `thin`-th.

    Returns
    -------
    dict of str to numpy.ndarray
    """
    return {str(name): values.values.reshape(-1, 1)[::thin] for name, values in draws.data_vars.items()}


def natural_names(spec: Spec, draws: xr.Dataset) -> list[str]:
    """Return the paper's parameters: derived constants, and what the law itself names."""
    used = set(spec.law.symbols).union(
        *(d.formula.symbols for n, d in spec.derived.items() if n not in spec.constants)
    )
    names = [*spec.constants, *(n for n in spec.scalar_names if n in used)]
    return [n for n in names if n in draws]


def fit_values(fit: Fit, thin: int = 1) -> dict[str, np.ndarray]:
    """Return a fit's draws: scalars as (draws, 1), latent vectors as (draws, size), fixed values too."""
    values = flat_values(fit.draws, thin)
    if "latent" in fit.tree.children:
        for name, v in fit.tree["latent"].to_dataset().data_vars.items():
            values[str(name)] = v.values.reshape(-1, v.shape[-1])[::thin]
    return noise_values(fit.spec, values)


def fitted_mean(fit: Fit, thin: int = 1) -> np.ndarray:
    """Evaluate the law at the fit's own rows, on the scale of errors; shape (draws, rows)."""
    if not fit.is_posterior:
        return law_on_scale(fit.spec, flat_values(fit.draws, thin), fit.bound.rows.columns)
    return fit.bound.law(fit_values(fit, thin))


def given_rows(fit: Fit, thin: int = 1) -> Conditional:
    """Return a posterior's observation model, conditioned on the fit's own rows."""
    bound = fit.bound
    return bound.observation.condition(bound.rows, fitted_mean(fit, thin), fit_values(fit, thin))


def noise_values(spec: Spec, values: Mapping[str, Any]) -> dict[str, Any]:
    """Add the observation model's fixed parameters to draws."""
    return {**values, **{p.name: p.fixed for p in spec.noise.values() if p.fixed is not None}}


def residuals(fit: Fit) -> np.ndarray:
    """Return the data minus the fit on the scale of errors, shape (rows,).

    Parameters
    ----------
    fit : Fit
        A posterior is represented by the median of some hundred draws of its curve: the law, and the
        discrepancy that the data show.

    Returns
    -------
    numpy.ndarray
    """
    if not fit.is_posterior:
        return fit.tree["point"]["residual"].values
    thin = max(1, fit.draws.sizes["draw"] // 100)
    return fit.bound.rows.y - np.median(given_rows(fit, thin).fitted(), axis=0)


def row_names(data: xr.Dataset, rows: np.ndarray) -> list[str]:
    """Name rows by run or model, and step or what else tells its rows apart, or else by their number in the table.

    Parameters
    ----------
    data : xarray.Dataset
    rows : numpy.ndarray of int

    Returns
    -------
    list of str
    """
    key = next((k for k in ("run", "model") if k in data.coords), None)
    places = data["obs"].values
    names = [str(data[key].values[i]) if key else f"row {places[i] + 1}" for i in rows]
    if "step" in data.coords:
        return [f"{n} at step {data['step'].values[i]:.0f}" for n, i in zip(names, rows, strict=True)]
    apart = _apart(data, key) if key else []  # a model on several benchmarks
    told = [", ".join(str(data[c].values[i]) for c in apart) for i in rows]
    return [f"{n} ({t})" if t else n for n, t in zip(names, told, strict=True)]


def _apart(data: xr.Dataset, key: str) -> list[str]:
    """Return the columns of labels that are not one value a model (or run)."""
    labels = [str(c) for c in data.coords if c not in ("obs", key) and data[c].dims == ("obs",)]
    owner = np.unique(data[key].values.astype(str), return_inverse=True)[1]
    pairs = {c: np.unique(data[c].values.astype(str), return_inverse=True)[1] for c in labels}
    return [c for c, own in pairs.items() if len(set(zip(owner, own, strict=True))) > owner.max() + 1]
