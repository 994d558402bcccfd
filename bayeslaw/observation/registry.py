"""Which observation model a spec has."""

from __future__ import annotations

import importlib
from types import ModuleType

from bayeslaw.law.spec import Spec
from bayeslaw.observation.base import Observation

PLAIN = "independent"
"""The module of rows that scatter independently."""


def observation_of(spec: Spec) -> Observation:
    """Return a spec's observation model.

    Parameters
    ----------
    spec : Spec
        Resolved. The rows of `bayeslaw.law.families` for its likelihood and its discrepancy name the
        modules of this package that make it.

    Returns
    -------
    Observation
    """
    family, discrepancy = spec.traits, spec.discrepancy
    around = (
        discrepancy.traits.module if discrepancy is not None else PLAIN if family.counts else family.module
    )
    model = _module(around).observe(spec)
    return _module(family.module).observe(spec, model) if family.counts else model


def _module(name: str) -> ModuleType:
    """Load a module of this package: only those that the tables of `bayeslaw.law.families` name."""
    return importlib.import_module(f"bayeslaw.observation.{name}")
