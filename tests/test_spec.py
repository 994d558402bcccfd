"""Model files: the shipped ones are sound, a malformed one is refused in one sentence."""

from __future__ import annotations

import copy
import tomllib

import numpy as np
import pytest
from conftest import TRUTHS, noiseless

import bayeslaw as bl
from bayeslaw.catalogue import MAX_BYTES, models_folder, parse_toml
from bayeslaw.law import derive
from bayeslaw.priors import draw_priors
from bayeslaw.reading import parse_spec

FILES = sorted(models_folder().glob("*.toml"))
MINE = """
title  = "my own law"
law    = "E0 + B * D**-beta"

[inputs]
D = { column = "tokens", meaning = "tokens", unit = "hours", reference = "geometric-mean" }

[output]
name  = "perplexity"
unit  = "1"
scale = "log"

[parameters]
level = { support = "positive", prior_90 = [0.1, 50] }
floor = { support = "unit" }
beta  = { support = "positive", prior_90 = [0.05, 1.0] }

[derived]
E0 = "level * floor"
B  = { formula = "level * (1 - floor) * ref_D**beta", meaning = "size", unit = "1" }

[inverse]
level = "E0 + B * ref_D**-beta"
floor = "E0 / (E0 + B * ref_D**-beta)"

[likelihood]
family = "StudentT"
sigma = { prior_90 = [0.001, 0.3] }
nu    = { prior_90 = [2, 60] }
"""


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def shipped(request):
    return bl.load_model(request.param.stem)


def test_the_catalogue_lists_every_file():
    table = bl.models()
    assert list(table.columns) == ["name", "title", "law", "source"]
    assert list(table["name"]) == [path.stem for path in FILES]
    assert {"annealing", "compute", "params-tokens", "gold-likelihood", "chinchilla"} <= set(table["name"])
    assert (table != "").all(axis=None)


def test_a_shipped_file_is_complete(shipped):
    """Every quantity has a meaning, every paper's parameter a way back, every law a truth to recover."""
    described = [*shipped.inputs.values(), *shipped.parameters.values(), *shipped.derived.values()]
    assert all(thing.meaning for thing in described)
    assert all(thing.unit for thing in (*shipped.inputs.values(), *shipped.derived.values()))
    natural = set(shipped.constants) | set(shipped.scalar_names)
    assert set(shipped.scalar_names) <= set(shipped.inverse) | natural
    assert set(TRUTHS[shipped.name]) <= natural


def test_a_shipped_file_survives_writing_and_reading(shipped):
    again = parse_toml(shipped.to_toml(), shipped.name)
    assert again == shipped
    assert again.to_toml() == shipped.to_toml()


def test_a_frozen_law_survives_writing_and_reading(shipped):
    frozen = bl.resolve(*noiseless(shipped.name))
    assert parse_toml(frozen.to_toml(), shipped.name) == frozen


def test_the_inverse_gives_the_sampled_parameters_back(shipped):
    frozen = bl.resolve(*noiseless(shipped.name))
    drawn = draw_priors(frozen, 200, np.random.default_rng(1))
    values = {name: drawn[name] for name in frozen.scalar_names}
    paper = derive(frozen, values)
    direct = {n: v for n, v in values.items() if n not in frozen.inverse}
    back = bl.to_sampling(frozen, {**paper, **direct})
    for name, value in values.items():
        np.testing.assert_allclose(back[name], value, rtol=1e-8, atol=1e-10, err_msg=name)


def test_a_law_of_ones_own_works_like_a_shipped_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    spec = bl.load_model(path)
    assert (spec.name, spec.title) == ("mine", "my own law")
    assert bl.load_model(str(path)) == spec
    tokens = np.geomspace(1e8, 1e11, 12)
    import pandas as pd

    rows = pd.DataFrame({"tokens": tokens, "perplexity": 5 + 800 * tokens**-0.3})
    fit = bl.fit(spec, bl.read_table(rows, spec), "map", bootstrap=4)
    assert float(fit.tree["point"]["E0"]) == pytest.approx(5, rel=1e-3)
    assert float(fit.tree["point"]["beta"]) == pytest.approx(0.3, rel=1e-3)
    again = bl.load_fit(fit.save(tmp_path / "mine.nc"))
    assert again.spec == fit.spec
    np.testing.assert_array_equal(again.data["tokens"], tokens)
    for targets in ({"D": [1e12]}, {"tokens": [1e12]}):
        forecast = bl.forecast(again, targets)
        assert float(forecast["median"].sel(kind="run")[0]) == pytest.approx(5 + 800 * 1e12**-0.3, rel=1e-3)


def edited(path: str, value=..., delete: bool = False) -> dict:
    """Return the tables of MINE with one entry set or removed; dots separate keys."""
    document = copy.deepcopy(tomllib.loads(MINE))
    *sections, key = path.split(".")
    table = document
    for section in sections:
        table = table.setdefault(section, {})
    if delete:
        del table[key]
    else:
        table[key] = value
    return document


POSITIVE = {"support": "positive"}
S2 = {"function": "annealing_area", "argument": "beta", "range": [0.95, 0.9998]}
LAM = {"support": "unit", "prior_90": [0.98, 0.9995], "bounds": [0.95, 0.9998]}
CALLED = {"law": "E0 + B * D**-beta - S2(lam)"}
SIMPLEX = {"support": "simplex", "names": ["one", "two"]}


def with_area(area=None, lam=None, law="E0 + B * D**-beta - S2(lam)") -> dict:
    """Return MINE with a function input and its argument."""
    document = edited("law", law)
    document["inputs"]["S2"] = {**S2, "argument": "lam", **(area or {})}
    document["parameters"]["lam"] = lam or LAM
    return document


def with_simplex(**changes) -> dict:
    """Return MINE with its level split by a simplex."""
    document = edited("law", "level * one + level * two * D**-beta * ref_D**beta + floor")
    document["derived"] = document["inverse"] = {}
    document["parameters"]["share"] = {**SIMPLEX, **changes}
    return document


MALFORMED = [
    ("unknown section", edited("parametres", {}), ["unknown key 'parametres'", "did you mean 'parameters'"]),
    ("unknown key of an input", edited("inputs.D.colum", "x"), ["[inputs] D", "'colum'", "did you mean 'column'"]),
    ("unknown key of a parameter", edited("parameters.beta.priors", [1, 2]), ["[parameters] beta", "'priors'", "prior_90"]),
    ("unknown key of output", edited("output.units", "x"), ["[output]", "'units'", "did you mean 'unit'"]),
    ("unknown key of noise", edited("likelihood.tau", {}), ["[likelihood]", "'tau'", "sigma"]),
    ("unknown key of map", edited("map.start", {}), ["[map]", "'start'", "did you mean 'starts'"]),
    *((f"no {s}", edited(s, delete=True), [f"the key '{s}' is missing"]) for s in ("law", "inputs", "output", "parameters", "likelihood")),
    ("no column", edited("inputs.D.column", delete=True), ["[inputs] D", "'column' is missing"]),
    ("no output unit", edited("output.unit", delete=True), ["[output]", "'unit' is missing"]),
    ("no family", edited("likelihood.family", delete=True), ["[likelihood]", "'family' is missing"]),
    ("no sigma", edited("likelihood.sigma", delete=True), ["[likelihood]", "'sigma' is missing"]),
    ("unknown family", edited("likelihood.family", "Gauss"), ["'Gauss'", "StudentT"]),
    ("unknown scale", edited("output.scale", "loge"), ["[output] scale", "'loge'", "did you mean 'log'"]),
    ("unknown support", edited("parameters.beta.support", "postive"), ["'postive'", "did you mean 'positive'"]),
    ("unknown reference", edited("inputs.D.reference", "geo"), ["[inputs] D reference", "'geo'", "geometric-mean"]),
    ("unused parameter", edited("parameters.spare", {**POSITIVE, "prior_90": [1, 2]}), ["spare never used by the law"]),
    ("unused derived", edited("derived.spare", "beta"), ["spare never used by the law"]),
    ("unused input", edited("inputs.N", {"column": "params"}), ["[inputs]", "N never used", "ref_N"]),
    ("input in inverse only", edited("inputs.N", {"column": "params", "reference": 2.0}), ["N never used"]),
    ("unknown symbol in the law", edited("law", "E0 + B * D**-bta"), ["law", "unknown symbol(s) bta", "did you mean 'beta'"]),
    ("unknown symbol in derived", edited("derived.E0", "level * flor"), ["[derived] E0", "flor", "did you mean 'floor'"]),
    ("unknown symbol in inverse", edited("inverse.level", "E9"), ["[inverse] level", "E9"]),
    ("rows in inverse", edited("inverse.level", "E0 + D"), ["[inverse] level", "unknown symbol(s) D"]),
    ("inverse of no parameter", edited("inverse.other", "E0"), ["[inverse]", "other"]),
    ("no such reference", edited("inputs.D.reference", delete=True), ["ref_D", "has a 'reference'"]),
    ("circle", edited("derived.E0", "B * floor * level") | {"derived": {"E0": "B * floor", "B": "E0 * level"}}, ["[derived]", "E0, B use each other in a circle"]),
    ("derived of itself", edited("derived.E0", "E0 * level * floor"), ["E0 use each other in a circle"]),
    ("lambda in the law", edited("law", "E0 + B * D**-lambda"), ["'lambda' is a word of Python", "'lam'"]),
    ("lambda as a name", edited("parameters.lambda", {**POSITIVE, "prior_90": [1, 2]}), ["'lambda' is a word of Python", "'lam'"]),
    ("name with a blank", edited("parameters.my beta", {**POSITIVE, "prior_90": [1, 2]}), ["'my beta' can't be a symbol"]),
    ("name of a function", edited("parameters.exp", {**POSITIVE, "prior_90": [1, 2]}), ["'exp' can't be a symbol"]),
    ("name of a reference", edited("parameters.ref_x", {**POSITIVE, "prior_90": [1, 2]}), ["'ref_x' can't be a symbol"]),
    ("hidden name", edited("parameters._x", {**POSITIVE, "prior_90": [1, 2]}), ["'_x' can't be a symbol"]),
    ("name of the tree's", edited("parameters.draw", {**POSITIVE, "prior_90": [1, 2]}), ["'draw' is taken"]),
    ("parameter called as input", edited("parameters.D", {**POSITIVE, "prior_90": [1, 2]}), ["'D' is defined twice"]),
    ("derived called as parameter", edited("derived.beta", "level"), ["'beta' is defined twice"]),
    ("parameter called as noise", edited("parameters.sigma", {**POSITIVE, "prior_90": [1, 2]}), ["'sigma' is defined twice"]),
    ("prior outside support", edited("parameters.beta.prior_90", [-1, 2]), ["[parameters] beta prior_90", "(0, inf)"]),
    ("share's prior above 1", edited("parameters.floor.prior_90", [0.1, 1.0]), ["floor prior_90", "(0, 1)"]),
    ("prior reversed", edited("parameters.beta.prior_90", [2, 1]), ["low < high", "[2, 1]"]),
    ("prior of one number", edited("parameters.beta.prior_90", [2]), ["[low, high]"]),
    ("prior a number", edited("parameters.beta.prior_90", 2), ["expected a list of numbers, found 2"]),
    ("prior of text", edited("parameters.beta.prior_90", ["a", "b"]), ["expected a finite number, found a"]),
    ("prior outside bounds", edited("parameters.beta.bounds", [0.5, 2]), ["[0.05, 1]", "bounds = [0.5, 2]"]),
    ("no prior", edited("parameters.beta", POSITIVE), ["[parameters] beta", "needs prior_90"]),
    ("no noise prior", edited("likelihood.sigma", {}), ["[likelihood] sigma", "needs prior_90"]),
    ("noise prior negative", edited("likelihood.sigma.prior_90", [-1, 1]), ["[likelihood] sigma prior_90"]),
    ("fixed outside support", edited("parameters.beta.fixed", -1), ["fixed = -1 lies outside [0, inf]"]),
    ("fixed outside bounds", edited("parameters.beta", {**POSITIVE, "bounds": [1, 2], "fixed": 3}), ["fixed = 3", "[1, 2]"]),
    ("fixed nan", edited("parameters.beta.fixed", float("nan")), ["expected a finite number, found nan"]),
    ("fixed infinite", edited("parameters.beta.fixed", float("inf")), ["expected a finite number, found inf"]),
    ("fixed of 400 digits", edited("parameters.beta.fixed", 10**400), ["expected a finite number"]),
    ("fixed true", edited("parameters.beta.fixed", True), ["expected a finite number, found True"]),
    ("fixed text", edited("parameters.beta.fixed", "1"), ["expected a finite number"]),
    ("reference nan", edited("inputs.D.reference", float("nan")), ["[inputs] D reference", "found nan"]),
    ("names without simplex", edited("parameters.beta.names", ["a", "b"]), ["'names' belongs to support"]),
    ("law a number", edited("law", 3), ["law", "expected a formula as text, found 3"]),
    ("title a number", edited("title", 3), ["title", "expected text in quotes, found 3"]),
    ("inputs a list", edited("inputs", []), ["[inputs]", "expected a table, found []"]),
    ("input a text", edited("inputs.D", "tokens"), ["[inputs] D", "expected a table, found 'tokens'"]),
    ("column a number", edited("inputs.D.column", 5), ["[inputs] D", "expected text in quotes, found 5"]),
    ("parameter a number", edited("parameters.beta", 5), ["[parameters] beta", "expected a table, found 5"]),
    ("derived a number", edited("derived.E0", 5), ["[derived] E0", "expected a table, found 5"]),
    ("derived without formula", edited("derived.E0", {"meaning": "x"}), ["[derived] E0", "'formula' is missing"]),
    ("support a list", edited("parameters.beta.support", []), ["[parameters] beta support", "[]"]),
    ("201 derived", edited("derived", {f"d{i}": "beta" for i in range(201)}), ["[derived]", "201 entries", "200"]),
    ("hostile formula", edited("derived.E0", "__import__('os').system('true')"), ["[derived] E0", "not allowed"]),
    ("hostile function in the law", edited("law", "E0 + B * D**-beta + exec(beta)"), ["unknown function 'exec'"]),
    ("hostile function in inverse", edited("inverse.level", "load(E0)"), ["[inverse] level", "unknown function 'load'"]),
    ("unknown function", edited("law", "E0 + B * D**-beta + foo(beta)"), ["unknown function 'foo'"]),
    ("start of no parameter", edited("map.starts", {"E1": [1.0]}), ["[map]", "'E1'", "B, E0, beta"]),
    ("starts a number", edited("map.starts", {"E0": 1.0}), ["[map.starts] E0", "expected a list of numbers"]),
    ("starts empty", edited("map.starts", {"E0": []}), ["[map.starts] E0", "expected a list of numbers"]),
    ("delta zero", edited("map.delta", 0), ["[map] delta", "must be positive"]),
    ("map fixes a derived one", edited("map.fix", {"E0": 1.0}), ["[map] fix", "E0 = 1"]),
    ("map fixes outside", edited("map.fix", {"beta": -1.0}), ["[map] fix", "beta = -1"]),
    ("one share", with_simplex(names=["one"]), ["[parameters] share", "two or more", "['one']"]),
    ("shares no list", with_simplex(names="one"), ["two or more", "'one'"]),
    ("shares of numbers", with_simplex(names=[1, 2]), ["share names", "expected text"]),
    ("simplex with a prior", with_simplex(prior_90=[0.1, 0.2]), ["a simplex has no 'prior_90'"]),
    ("simplex fixed", with_simplex(fixed=1), ["a simplex has no 'fixed'"]),
    ("concentration zero", with_simplex(concentration=0), ["concentration = 0 must be positive"]),
    ("share called twice", with_simplex(names=["one", "one"]), ["'one' is defined twice"]),
    ("share called as a parameter", with_simplex(names=["one", "beta"]), ["'beta' is defined twice"]),
    ("share unused", with_simplex(names=["one", "two", "three"]), ["three never used"]),
    ("unknown function input", with_area({"function": "annealing"}), ["[inputs] S2 function", "did you mean 'annealing_area'"]),
    ("range over 1", with_area({"range": [0.5, 1.5]}), ["[inputs] S2 range", "(0, 1)"]),
    ("function never called", with_area(law="E0 + B * D**-beta * lam"), ["[inputs] S2", "never called", "S2(lam)"]),
    ("function of another", with_area(law="E0 + B * D**-beta - S2(beta) * S2(lam)"), ["S2(beta)", "argument is 'lam'"]),
    ("function as a number", with_area(law="E0 + B * D**-beta - S2 * S2(lam)"), ["unknown symbol(s) S2"]),
    ("argument no parameter", with_area({"argument": "E0"}, law="E0 + lam + B * D**-beta - S2(E0)"), ["'E0' is no parameter"]),
    ("bounds leave the range", with_area({"range": [0.96, 0.9998]}), ["prior of 'lam' leaves the range [0.96, 0.9998]"]),
    ("argument without bounds", with_area(lam={"support": "unit"}), ["leaves the range", "bounds = [low, high]"]),
    ("argument fixed outside", with_area(lam={"support": "unit", "fixed": 0.5}), ["leaves the range"]),
]  # fmt: skip


@pytest.mark.parametrize(("document", "fragments"), [c[1:] for c in MALFORMED], ids=[c[0] for c in MALFORMED])
def test_a_malformed_file_is_refused_with_the_place_and_what_is_allowed(document, fragments):
    with pytest.raises(bl.InputError) as caught:
        parse_spec(document, "mine")
    message = str(caught.value)
    assert message.startswith("model 'mine', ")
    for fragment in fragments:
        assert fragment in message


def test_the_unedited_file_and_its_variants_are_fine():
    """So that the refusals above are due to their edits."""
    for document in (tomllib.loads(MINE), with_area(), with_simplex()):
        assert parse_spec(document, "mine").law


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"law = ", ["not valid TOML", "Invalid value"]),
        (b"law = 'a'\nlaw = 'b'", ["not valid TOML", "Cannot overwrite"]),
        (b"", ["the key 'law' is missing"]),
        (b"law = " + b"[" * 5000 + b"]" * 5000, ["not valid TOML"]),
        (b"law = " + b"1" * 5000, ["not valid TOML"]),
        (b"title = 1979-05-27\n" + MINE.split("\n", 2)[2].encode(), ["title", "expected text in quotes"]),
        (b"\x80\x04\x95\x00\xff", ["cannot be read as a model file", "utf-8"]),
        (b"\0\0\0", ["not valid TOML"]),
        (b"#" * (MAX_BYTES + 1), ["larger than", str(MAX_BYTES)]),
    ],
    ids=["no value", "twice", "empty", "deep", "digits", "date", "binary", "zeros", "big"],
)
def test_a_file_that_is_no_model_is_refused(tmp_path, content, fragments):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(bl.InputError) as caught:
        bl.load_model(path)
    for fragment in ("broken", *fragments):
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("computed", ["no model named 'computed'", "did you mean 'compute'", ".toml"]),
        ("", ["no model named"]),
        ("../models/compute", ["no model named"]),
        ("nowhere.toml", ["nowhere.toml", "cannot be read"]),
        (".", ["no model named"]),
    ],
)
def test_a_model_that_is_not_there_is_named(name, fragments):
    with pytest.raises(bl.InputError) as caught:
        bl.load_model(name)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_folder_is_no_model(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(bl.InputError, match="cannot be read as a model file"):
        bl.load_model(tmp_path / "folder.toml")


def test_derived_may_stand_in_any_order_and_long_chains_are_quick():
    chain = {f"d{i}": f"d{i + 1} * d{i + 2}" for i in range(150)}
    document = edited("law", "E0 + B * D**-beta * d0")
    document["derived"] |= {**chain, "d150": "beta", "d151": "beta * D"}
    spec = parse_spec(document, "mine")
    assert list(spec.derived).index("d151") < list(spec.derived).index("d0")
    assert set(spec.constants) == {"E0", "B", "d150"}
