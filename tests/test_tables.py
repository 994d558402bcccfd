"""Tables in: counts, covariates, filters, joins; what cannot be used is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import shared

import bayeslaw as bl
from bayeslaw.core.check import from_json
from bayeslaw.data.columns import rename_columns
from bayeslaw.data.filters import keep
from bayeslaw.data.gold import gold_covariates

COMPUTE, CHINCHILLA, GOLD = (bl.load_model(n) for n in ("compute", "chinchilla", "gold-likelihood"))
RUNS = pd.DataFrame({"params": [1e8, 2e8, 4e8], "tokens": [1e9, 3e9, 5e9], "loss": [4.0, 3.5, 3.1]})
COUNTS = pd.DataFrame(
    {
        "model": np.repeat(["a", "b", "c"], 2),
        "problem": ["p", "q"] * 3,
        "n": [10, 10, 10, 10, 10, 20],
        "c": [0, 0, 1, 2, 5, 5],
        "compute": np.repeat([1e18, 1e19, 1e20], 2),
        "note": ["x"] * 6,
    }
)


def test_counts_become_a_dataset():
    data = bl.read_table(COUNTS, COMPUTE, k=1)
    assert dict(data.sizes) == {"obs": 2}
    np.testing.assert_allclose(data["pass_at_k"], [0.15, 0.375])
    np.testing.assert_allclose(data["neg_log_pass_at_k"], -np.log([0.15, 0.375]))
    table = bl.pass_at_k(COUNTS, k=1).iloc[1:]
    np.testing.assert_allclose(data["sampling_error"], table["se_these_problems"] / table["pass_at_k"])
    assert data["model"].values.tolist() == ["b", "c"]
    assert data["compute"].values.tolist() == [1e19, 1e20]
    assert data["neg_log_pass_at_k"].attrs["units"] == "nat"
    (check,) = from_json(data.attrs["checks"])
    assert (check.name, check.level, check.value) == ("rows-not-used", "warn", 1.0)
    assert "no success" in check.message
    assert check.message.endswith(": a.")


def test_models_with_too_few_samples_are_named():
    data = bl.read_table(COUNTS.assign(n=[10, 10, 10, 10, 30, 30]), COMPUTE, k=20)
    assert data["model"].values.tolist() == ["c"]
    (check,) = from_json(data.attrs["checks"])
    assert "fewer than k = 20 samples: a, b" in check.message


def test_a_solved_benchmark_has_no_logarithm_and_is_named():
    data = bl.read_table(COUNTS.assign(c=[1, 1, 10, 10, 5, 5]), COMPUTE)
    assert data["model"].values.tolist() == ["a", "c"]
    assert "every problem is solved" in from_json(data.attrs["checks"])[0].message


def test_the_published_checkpoints_without_success_are_named(counts):
    none = counts.groupby("model")["c"].sum().eq(0)
    assert none.sum() == 2
    data = bl.read_table(counts, COMPUTE, k=1)
    (check,) = [c for c in from_json(data.attrs["checks"]) if "no success" in c.message]
    assert check.value == 2.0
    for model in none.index[none]:
        assert model in check.message
    assert data.sizes["obs"] == counts["model"].nunique() - 2


def test_without_warm_up_54_checkpoints_are_left(counts):
    data = bl.read_table(counts, COMPUTE, k=1, where=["lr_warming_up=0"])
    assert data.sizes["obs"] == 54
    # Two checkpoints have one and two problems more than the 128 that all share.
    assert [(c.name, c.level, c.value) for c in from_json(data.attrs["checks"])] == [
        ("problem-sets", "note", 128)
    ]
    np.testing.assert_allclose(data["compute"], 6 * data["params"] * data["tokens"], rtol=1e-12)


@pytest.fixture(scope="module")
def gold(counts):
    path = shared("pythia/gsm8k_gold_nll.csv")
    return bl.read_table(counts, GOLD, k=1, join=path, on="model")


def test_gold_likelihoods_are_the_golden_ones(gold):
    golden = {
        "14M_20B": 121.473, "70M_60B": 83.786, "160M_60B": 56.914, "410M_200B": 35.230, "1B_300B": 30.784,
        "1.4B_300B": 27.499, "2.8B_300B": 27.118, "6.9B_300B": 24.877, "12B_300B": 24.499,
    }  # fmt: skip
    found = dict(zip(gold["model"].values, gold["gold_nll"].values, strict=True))
    assert found == pytest.approx({f"Pythia_{name}": value for name, value in golden.items()}, abs=6e-4)
    assert (gold["gold_problems"] == 128).all()
    assert (gold["gold_mean_nll"] > gold["gold_nll"]).all()


def test_one_problem_that_carries_a_covariate_is_named(gold):
    (check,) = [c for c in from_json(gold.attrs["checks"]) if c.name == "gold-effective-problems"]
    assert check.level == "warn"
    assert check.value == pytest.approx(1.0, abs=0.01)
    assert "problem 149 carries at least 99.9 %" in check.message
    assert "mean-log-likelihood" in check.message


def test_the_mean_log_likelihood_is_offered_beside_it(gold, counts):
    other = bl.read_table(counts, GOLD, join=shared("pythia/gsm8k_gold_nll.csv"), gold="mean-log-likelihood")
    np.testing.assert_array_equal(other["gold_nll"], gold["gold_mean_nll"])
    assert "gold-effective-problems" not in {
        c.name for c in from_json(other.attrs["checks"]) if c.level == "warn"
    }


def test_gold_likelihoods_by_hand():
    table = pd.DataFrame(
        {"model": list("aabbb"), "problem": ["1", "2", "1", "2", "3"], "gold_nll": [1.0, 2.0, 3, 5, 7]}
    )
    found, found_checks = gold_covariates(table, COUNTS.drop(columns="problem"), "model", "mean-probability")
    expected = [-np.log(np.mean(np.exp([-1.0, -2]))), -np.log(np.mean(np.exp([-3.0, -5])))]
    np.testing.assert_allclose(found["gold_nll"], expected)
    np.testing.assert_allclose(found["gold_mean_nll"], [1.5, 4.0])
    assert found["gold_problems"].tolist() == [2, 2]
    assert found_checks[0].level == "warn"


def test_compute_does_not_overflow_whole_numbers(tmp_path):
    frame = pd.DataFrame({"params": [10**12], "tokens": [10**14], "neg_log_pass_at_k": [0.5]})
    assert frame["params"].dtype == np.int64
    for table in (frame, frame.convert_dtypes()):
        assert bl.read_table(table, COMPUTE)["compute"].values.tolist() == [6e26]
    frame.to_csv(tmp_path / "big.csv", index=False)
    assert bl.read_table(tmp_path / "big.csv", COMPUTE)["compute"].values.tolist() == [6e26]


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (None, [0, 1, 2, 3]),
        ([], [0, 1, 2, 3]),
        ("n=2", [1]),
        ("n=2.0", [1]),
        ("n==2", [1]),
        ("n!=2", [0, 2, 3]),
        ("n<2", [0]),
        ("n<=2", [0, 1]),
        ("n>2", [2, 3]),
        ("n>=2e0", [1, 2, 3]),
        ("n=1|4", [0, 3]),
        ("n!=1|4", [1, 2]),
        (" name = b c ", [1]),
        ("name=a|d", [0, 3]),
        ("name!=a", [1, 2, 3]),
        ("size!=", [0, 1]),
        ("size=", [2, 3]),
        ("flag=1", [0, 2]),
        (["n>1", "size!="], [1]),
        (("n>1", "n<4"), [1, 2]),
        ("theirs>2", [2, 3]),
    ],
)
def test_conditions_keep_these_rows(where, left):
    frame = pd.DataFrame(
        {
            "n": [1, 2, 3, 4],
            "name": ["a", "b c", "c", "d"],
            "size": [1.0, 2.0, np.nan, np.nan],
            "flag": [True, False, True, False],
        }
    )
    assert keep(frame, where, {"theirs": "n"}).index.tolist() == left


def test_renames_concern_either_table():
    theirs = RUNS.rename(columns={"params": "N"}).assign(model=list("abc")).drop(columns="tokens")
    other = pd.DataFrame({"model": list("cab"), "D": [5e9, 1e9, 3e9]})
    data = bl.read_table(theirs, CHINCHILLA, rename={"N": "params", "D": "tokens"}, join=other, where="N>1e8")
    assert data["tokens"].values.tolist() == [3e9, 5e9]
    with pytest.raises(bl.InputError, match="rename: no column 'E'"):
        bl.read_table(theirs, CHINCHILLA, rename={"N": "params", "E": "tokens"}, join=other)


def test_a_rename_takes_the_place_of_a_column():
    (frame,), _ = rename_columns([RUNS.assign(nonembed=[1.0, 2.0, 3.0])], {"nonembed": "params"})
    assert frame["params"].tolist() == [1.0, 2.0, 3.0]
    assert "nonembed" not in frame


def test_rows_without_a_partner_are_named():
    other = pd.DataFrame({"model": ["b", "c"], "gold_nll": [30.0, 20.0]})
    data = bl.read_table(COUNTS.assign(c=1), GOLD, join=other)
    assert data["model"].values.tolist() == ["b", "c"]
    assert any("no partner in the joined table: a." in c.message for c in from_json(data.attrs["checks"]))


def test_numbers_may_name_models():
    other = pd.DataFrame({"model": [1, 2, 3], "gold_nll": [40.0, 30.0, 20.0]})
    table = COUNTS.assign(c=1, model=np.repeat([1, 2, 3], 2))
    assert bl.read_table(table, GOLD, join=other)["gold_nll"].values.tolist() == [40.0, 30.0, 20.0]


def test_parquet_reads_like_csv(tmp_path):
    RUNS.to_parquet(tmp_path / "runs.parquet")
    RUNS.to_csv(tmp_path / "runs.csv", index=False)
    tables = [
        bl.read_table(t, CHINCHILLA) for t in (tmp_path / "runs.parquet", str(tmp_path / "runs.csv"), RUNS)
    ]
    assert tables[0].identical(tables[1])
    assert tables[0].identical(tables[2])


def test_a_column_of_pass_at_k_will_do():
    frame = pd.DataFrame(
        {"compute": [1e18, 1e19, 1e20, 1e20], "pass_at_k": [0.1, 0.2, 0.0, 0.3], "k": [1, 1, 1, 10]}
    )
    data = bl.read_table(frame.assign(sampling_error=0.01), COMPUTE, k=1)
    np.testing.assert_allclose(data["neg_log_pass_at_k"], -np.log([0.1, 0.2]))
    np.testing.assert_allclose(data["sampling_error"], [0.1, 0.05])
    assert "no success in any sample" in from_json(data.attrs["checks"])[0].message
    assert bl.read_table(frame, COMPUTE, k=10)["compute"].values.tolist() == [1e20]


def test_a_table_is_left_as_it_was():
    before = COUNTS.copy(deep=True)
    bl.read_table(COUNTS, COMPUTE)
    bl.pass_at_k(COUNTS)
    pd.testing.assert_frame_equal(COUNTS, before)


def test_odd_columns_do_no_harm():
    odd = RUNS.assign(
        obs=1, node=2, day=pd.Timestamp("2024-01-01"), label=["a", None, "c"], maybe=[1, None, 3]
    )
    odd = odd.assign(**{"a/b": 1, "Int": pd.array([1, None, 3], dtype="Int64")})
    odd[7] = 1.0
    data = bl.read_table(odd, CHINCHILLA)
    assert {"day", "label", "maybe", "Int"} <= set(data.variables)
    assert "node" not in data.variables
    np.testing.assert_array_equal(data["Int"], [1, np.nan, 3])
