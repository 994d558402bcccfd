"""Laws are changed and frozen into new laws; the old one stays as it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import noiseless

import bayeslaw as bl
from bayeslaw.law.evaluate import references

REFERENCES = {
    "geometric-mean": lambda v: np.exp(np.log(v).mean()),
    "mean": np.mean,
    "median": np.median,
    "minimum": np.min,
    "maximum": np.max,
}


@pytest.mark.parametrize(
    ("name", "changes", "look", "expected"),
    [
        ("compute", {"fix": {"floor": 0.0}}, lambda s: s.parameters["floor"].fixed, 0.0),
        ("compute", {"fix": {"nu": 4}}, lambda s: s.likelihood["nu"].fixed, 4.0),
        ("compute", {"fix": {"alpha": None}}, lambda s: s.parameters["alpha"].fixed, None),
        ("compute", {"prior": {"alpha": (0.05, 0.5)}}, lambda s: s.parameters["alpha"].prior_90, (0.05, 0.5)),
        ("compute", {"prior": {"sigma": [0.01, 0.2]}}, lambda s: s.likelihood["sigma"].prior_90, (0.01, 0.2)),
        ("compute", {"likelihood": {"nu": {"fixed": 5}}}, lambda s: s.likelihood["nu"].fixed, 5.0),
        ("compute", {"likelihood": {"family": "StudentT"}}, lambda s: s.family, "StudentT"),
        ("compute", {"scale": "identity"}, lambda s: s.output.scale, "identity"),
        ("compute", {"discrepancy": None}, lambda s: s.name, "compute"),
        ("annealing", {"fix": {"lam": 0.99}}, lambda s: s.parameters["lam"].fixed, 0.99),
        ("annealing", {"fix": {"lam": None}}, lambda s: dict(s.map.fix), {}),
    ],
)
def test_change_returns_a_new_law(name, changes, look, expected):
    spec = bl.load_model(name)
    before = spec.to_toml()
    assert look(bl.change(spec, **changes)) == expected
    assert spec.to_toml() == before
    assert spec == bl.load_model(name)


def test_a_fixed_parameter_can_be_freed_again():
    spec = bl.load_model("compute")
    fixed = bl.change(spec, fix={"alpha": 0.1, "sigma": 0.05})
    assert fixed.parameters["alpha"].prior_90 == spec.parameters["alpha"].prior_90
    assert bl.change(fixed, fix={"alpha": None, "sigma": None}) == spec
    assert bl.change(fixed, prior={"alpha": (0.1, 0.2)}).parameters["alpha"].fixed is None
    both = {"fix": {"alpha": None}, "prior": {"alpha": (0.1, 0.2)}}
    assert bl.change(fixed, **both) == bl.change(fixed, prior={"alpha": (0.1, 0.2)})
    with pytest.raises(bl.InputError, match="'alpha' is held by fix, and prior would free it again"):
        bl.change(spec, fix={"alpha": 0.1}, prior={"alpha": (0.1, 0.2)})


@pytest.mark.parametrize("kind", REFERENCES)
def test_resolve_freezes_a_reference(kind):
    _, data = noiseless("compute")
    document = bl.load_model("compute").to_toml().replace('"geometric-mean"', f'"{kind}"')
    from bayeslaw.law.catalogue import parse_toml

    spec = parse_toml(document, "compute")
    with pytest.raises(bl.InputError, match=r"call resolve\(spec, data\) first"):
        references(spec)
    frozen = bl.resolve(spec, data)
    expected = REFERENCES[kind](data["compute"].values)
    assert references(frozen)["ref_C"] == pytest.approx(expected, rel=1e-12)
    assert spec.inputs["C"].reference == kind


def test_resolve_is_idempotent_and_a_frozen_law_ignores_other_data():
    spec, data = noiseless("chinchilla")
    frozen = bl.resolve(spec, data)
    assert bl.resolve(frozen, data) == frozen
    assert bl.resolve(frozen, data.isel(obs=slice(3))) == frozen
    assert bl.resolve(spec, data.isel(obs=slice(3))) != frozen


def test_models_is_a_data_frame():
    assert isinstance(bl.models(), pd.DataFrame)
