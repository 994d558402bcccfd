"""Laws are changed and frozen into new laws; the old one stays as it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import noiseless

import bayeslaw as bl
from bayeslaw.law import references

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


@pytest.mark.parametrize(
    ("name", "changes", "fragments"),
    [
        ("compute", {"fix": {"E0": 0.0}}, ["'E0' is derived (level * floor)", "floor, level"]),
        ("compute", {"prior": {"C0": (1, 2)}}, ["'C0' is derived", "alpha, floor, level"]),
        ("params-tokens", {"fix": {"from_N": 0.1}}, ["'from_N' is one share of 'share'"]),
        ("params-tokens", {"fix": {"share": 0.1}}, ["a simplex has no 'fixed'"]),
        ("params-tokens", {"prior": {"share": (0.1, 0.2)}}, ["a simplex has no 'prior_90'"]),
        ("compute", {"fix": {"alfa": 0.1}}, ["unknown parameter 'alfa'", "did you mean 'alpha'"]),
        ("compute", {"fix": {"family": 1}}, ["unknown parameter 'family'"]),
        ("compute", {"prior": {"beta": (1, 2)}}, ["unknown parameter 'beta'", "alpha"]),
        ("compute", {"prior": {"alpha": (2, 1)}}, ["alpha prior_90", "low < high"]),
        ("compute", {"prior": {"alpha": 3}}, ["alpha prior_90", "expected a list of numbers, found 3"]),
        ("compute", {"prior": {"alpha": "ab"}}, ["alpha prior_90", "expected a list of numbers"]),
        ("compute", {"prior": {"alpha": (0.1, float("nan"))}}, ["finite number, found nan"]),
        ("compute", {"fix": {"alpha": "x"}}, ["alpha fixed", "expected a finite number, found x"]),
        ("compute", {"fix": {"alpha": -1}}, ["fixed = -1", "[0, inf]"]),
        ("compute", {"fix": {"floor": 1.5}}, ["fixed = 1.5", "[0, 1]"]),
        ("annealing", {"fix": {"lam": 0.5}}, ["lam", "0.5", "[0.95, 0.9998]"]),
        ("annealing", {"prior": {"lam": (0.5, 0.6)}}, ["lam", "[0.5, 0.6]", "bounds = [0.95, 0.9998]"]),
        ("compute", {"likelihood": {"family": "Cauchy"}}, ["'Cauchy'", "StudentT"]),
        ("compute", {"likelihood": {"tau": {"fixed": 1}}}, ["[likelihood]", "'tau'"]),
        ("compute", {"likelihood": {"nu": 3}}, ["[likelihood] nu", "expected a table, found 3"]),
        ("compute", {"scale": "ln"}, ["scale", "'ln'", "identity, log, logit"]),
        ("compute", {"discrepancy": "matern32"}, ["discrepancy", "'matern32'", "None"]),
    ],
)
def test_a_change_that_cannot_be_is_refused(name, changes, fragments):
    with pytest.raises(bl.InputError) as caught:
        bl.change(bl.load_model(name), **changes)
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize("kind", REFERENCES)
def test_resolve_freezes_a_reference(kind):
    _, data = noiseless("compute")
    document = bl.load_model("compute").to_toml().replace('"geometric-mean"', f'"{kind}"')
    from bayeslaw.catalogue import parse_toml

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


@pytest.mark.parametrize(
    ("edit", "fragments"),
    [
        (lambda d: d.drop_vars("compute"), ["no column 'compute'"]),
        (lambda d: d.rename(compute="compute_flop"), ["no column 'compute'", "did you mean 'compute_flop'"]),
        (lambda d: d.assign(compute=d["compute"] * 0), ["input C", "positive values", "'compute'"]),
        (lambda d: d.assign(compute=d["compute"] * np.nan), ["positive values"]),
        (lambda d: d.isel(obs=slice(0)), ["positive values"]),
    ],
)
def test_resolve_refuses_data_without_the_reference(edit, fragments):
    spec, data = noiseless("compute")
    with pytest.raises(bl.InputError) as caught:
        bl.resolve(spec, edit(data))
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("given", "fragment"),
    [({"C0": 900.0, "alpha": 0.1}, "needs E0"), ({"E0": 1.0, "C0": 900.0}, "needs alpha"), ({}, "needs")],
)
def test_the_way_back_names_what_it_lacks(given, fragment):
    spec = bl.resolve(*noiseless("compute"))
    with pytest.raises(bl.InputError, match=fragment):
        bl.to_sampling(spec, given)


def test_models_is_a_data_frame():
    assert isinstance(bl.models(), pd.DataFrame)
