"""Model files: the shipped ones are sound, a malformed one is refused in one sentence."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from conftest import TRUTHS, noiseless
from malformed_inputs import MINE, edited, with_area, with_simplex

import bayeslaw as bl
from bayeslaw.law.catalogue import models_folder, parse_toml
from bayeslaw.law.evaluate import derive
from bayeslaw.law.parse import parse_spec
from bayeslaw.law.priors import draw_priors

FILES = sorted(models_folder().glob("*.toml"))


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


def test_the_unedited_file_and_its_variants_are_fine():
    """So that the refusals above are due to their edits."""
    for document in (tomllib.loads(MINE), with_area(), with_simplex()):
        assert parse_spec(document, "mine").law


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
