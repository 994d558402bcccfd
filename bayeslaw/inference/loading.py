"""Reading a fit that was saved: checked whole, nothing in it executed."""

from __future__ import annotations

import os

import numpy as np

from bayeslaw.core.check import from_json
from bayeslaw.core.errors import InputError
from bayeslaw.core.files import as_path
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.methods import METHODS
from bayeslaw.inference.saving import FORMAT, content_hash, read_tree
from bayeslaw.law.catalogue import parse_toml
from bayeslaw.law.evaluate import law_inputs


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
    tree = read_tree(path)
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
