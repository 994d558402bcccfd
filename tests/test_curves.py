"""Loss curves joined to their schedules."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from conftest import PUBLISHED_SCHEDULES, TRAINING_SCHEDULES, shared

import bayeslaw as bl
from bayeslaw.check import from_json
from bayeslaw.functions import annealing_area
from bayeslaw.law import evaluate_law, law_inputs

ANNEALING = bl.load_model("annealing")
TEXT = "cosine(peak=3e-4, end=3e-5, warmup=10, total=100)"
STEPS = np.array([5, 10, 50, 100])


def curve(run: str = "r", **columns) -> pd.DataFrame:
    return pd.DataFrame({"run": run, "step": STEPS, "loss": [5.0, 4.0, 3.5, 3.2], **columns})


def test_a_curve_gets_its_areas_and_loses_its_warm_up():
    data = bl.read_curves(curve(), ANNEALING, TEXT)
    schedule = bl.parse_schedule(TEXT)
    assert data["step"].values.tolist() == [10, 50, 100]
    np.testing.assert_allclose(data["lr_area"], np.cumsum(schedule.lr)[[10, 50, 100]])
    np.testing.assert_allclose(data["lr"], schedule.lr[[10, 50, 100]])
    assert data["loss"].values.tolist() == [4.0, 3.5, 3.2]
    (check,) = from_json(data.attrs["checks"])
    assert (check.level, check.value) == ("note", 1.0)
    assert "inside warm-up" in check.message
    assert "r step 5" in check.message
    assert json.loads(data.attrs["schedules"]) == {"r": TEXT}


def test_the_law_sees_the_exact_areas():
    spec = bl.resolve(ANNEALING, data := bl.read_curves(curve(), ANNEALING, TEXT))
    truth = {"L0": 2.6, "A": 0.4, "alpha": 0.5, "C": 0.5, "lam": 0.99}
    law = evaluate_law(spec, bl.to_sampling(spec, truth), law_inputs(spec, data))
    schedule, steps = bl.parse_schedule(TEXT), np.array([10, 50, 100])
    by_hand = 2.6 + 0.4 * schedule.area(steps) ** -0.5 - 0.5 * annealing_area(schedule, steps, 0.99)
    np.testing.assert_allclose(law, by_hand, rtol=1e-10)


def test_each_run_has_its_schedule_and_keeps_its_rows_together():
    table = pd.concat([curve("a"), curve("b").iloc[::-1]])
    texts = {"b": TEXT, "a": "constant(peak=3e-4, total=100)"}
    data = bl.read_curves(table, ANNEALING, texts)
    assert data["run"].values.tolist() == ["a"] * 4 + ["b"] * 3
    assert data["step"].values.tolist() == [5, 10, 50, 100, 10, 50, 100]
    one = bl.read_curves(curve("b"), ANNEALING, TEXT)
    np.testing.assert_array_equal(data["annealing_area"][4:], one["annealing_area"])
    both = bl.read_curves(table, ANNEALING, TEXT)
    assert both.sizes["obs"] == 6


def test_renames_and_conditions_come_first():
    table = pd.concat([curve("a"), curve("b")]).rename(columns={"run": "name", "loss": "L"})
    data = bl.read_curves(table, ANNEALING, {"b": TEXT}, rename={"name": "run", "L": "loss"}, where="name=b")
    assert set(data["run"].values) == {"b"}


@pytest.mark.parametrize("size", ["25M", "100M"])
def test_the_training_schedules_agree_with_the_logged_rates(size):
    data = bl.read_curves(
        shared("schedules/loss_curves.csv"),
        ANNEALING,
        TRAINING_SCHEDULES,
        rename={"schedule": "run"},
        where=[f"model_size={size}", f"run={'|'.join(TRAINING_SCHEDULES)}"],
    )
    assert set(data["run"].values) == set(TRAINING_SCHEDULES)
    # The larger model's step schedule was started from the constant one's checkpoint.
    shared_rows = {"25M": 0, "100M": 46}[size]
    assert data.sizes["obs"] == {"25M": 171 + 171 + 95, "100M": 171 + 171 + 109}[size] - shared_rows
    assert [c.value for c in from_json(data.attrs["checks"])] == [shared_rows] * (shared_rows > 0)
    assert set(json.loads(data.attrs["branches"])) == ({"wsdcon_9"} if shared_rows else set())


def test_the_logged_rates_themselves_give_nearly_the_same_areas():
    table = pd.read_csv(shared("schedules/loss_curves.csv")).query(
        "model_size == '25M' and schedule == 'cosine_24000'"
    )
    table = table.rename(columns={"schedule": "run"})
    stated = bl.read_curves(table, ANNEALING, TRAINING_SCHEDULES["cosine_24000"])
    logged = bl.read_curves(table, ANNEALING, "logged(warmup=2160)")
    np.testing.assert_allclose(logged["lr_area"], stated["lr_area"], rtol=1e-4)


def test_the_published_curves_have_the_published_areas(published_curves):
    end = published_curves.where(published_curves["step"] == 20000, drop=True)
    areas = dict(zip(end["run"].values, end["lr_area"].values, strict=True))
    assert areas == pytest.approx({"cosine_20000": 2.0501, "constant_20000": 4.0002})
    assert set(areas) == set(PUBLISHED_SCHEDULES)


OFF = curve(lr=[1.5e-4, 3e-4, 2e-4, 3e-5])


@pytest.mark.parametrize(
    ("table", "schedules", "fragments"),
    [
        (curve().assign(step=[5, 10, 50, 101]), TEXT, ["run 'r', row 4: step 101", "ends at 100"]),
        (curve().assign(step=[5, 10, 50, 1e300]), TEXT, ["'step', row 4", "1e+300", "whole numbers"]),
        (curve().assign(step=[5, 10, 50, 50]), TEXT, ["rows 3, 4", "run = r, step = 50"]),
        (curve().assign(step=[5, 10, 50, 60.5]), TEXT, ["'step', row 4", "60.5", "whole numbers"]),
        (curve().assign(step=[-5, 10, 50, 60]), TEXT, ["'step', row 1", "-5", "0 or more"]),
        (curve().assign(step=[1, 2, 3, 4]), TEXT, ["all its steps lie inside the 10 warm-up steps"]),
        (curve().assign(loss=[5.0, 4, 3, np.nan]), TEXT, ["'loss', row 4", "nan", "no missing values"]),
        (curve().assign(loss=[5.0, 4, 3, 0]), TEXT, ["'loss', row 4", "found 0", "greater than 0"]),
        (curve().assign(loss=[5.0, 4, 3, np.inf]), TEXT, ["'loss', row 4", "inf", "finite"]),
        (curve().assign(loss=list("abcd")), TEXT, ["'loss', rows 1, 2, 3 and 1 more", "found a", "numbers"]),
        (curve().drop(columns="run"), TEXT, ["no column 'run'"]),
        (curve().rename(columns={"loss": "los"}), TEXT, ["no column 'loss'", "did you mean 'los'"]),
        (curve().iloc[:0], TEXT, ["no rows"]),
        (OFF, TEXT, ["run 'r', row 3, step 50", "lr = 0.0002", "the schedule says", "correct"]),
        (OFF.assign(lr=[0, -1, 0, 0]), TEXT, ["'lr', row 2", "-1", "0 or more"]),
        (OFF.assign(lr=[0, 0, 0, 0]), "logged()", ["not all zero"]),
        (curve(), "logged()", ["no table with an 'lr' column"]),
        (curve(), {}, ["none for run(s) r", "--schedule"]),
        (curve(), {"s": TEXT}, ["the table has no run 's'", "The table has r."]),
        (curve(), {"r": "cosin(peak=1)"}, ["unknown kind 'cosin'"]),
        (curve(), {"r": 5}, ["schedule 5", "expected kind"]),
        (curve(sampling_error=[0, 0, 0, -1.0]), TEXT, ["'sampling_error', row 4", "0 or more"]),
    ],
)  # fmt: skip
def test_curves_that_do_not_line_up_are_refused(table, schedules, fragments):
    with pytest.raises(bl.InputError) as caught:
        bl.read_curves(table, ANNEALING, schedules)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_law_without_a_schedule_is_read_as_a_table():
    with pytest.raises(bl.InputError, match="needs no schedule; read its table with read_table"):
        bl.read_curves(curve(), bl.load_model("chinchilla"), TEXT)
    with pytest.raises(bl.InputError, match="no column 'lr_area'"):
        bl.read_table(curve(), ANNEALING)


def test_odd_columns_of_a_curve_do_no_harm():
    data = bl.read_curves(curve(node=1, obs=2, annealing_area=3, lr_area=4), ANNEALING, TEXT)
    assert data["annealing_area"].dims == ("obs", "node")
    assert data["lr_area"].values[0] < 1
