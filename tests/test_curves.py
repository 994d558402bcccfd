"""Loss curves joined to their schedules."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from conftest import PUBLISHED_SCHEDULES, TRAINING_SCHEDULES, shared

import bayeslaw as bl
from bayeslaw.core.check import from_json
from bayeslaw.law.evaluate import evaluate_law, law_inputs
from bayeslaw.law.schedule_inputs import annealing_area

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


def test_a_law_without_a_schedule_is_read_as_a_table():
    with pytest.raises(bl.InputError, match="needs no schedule; read its table with read_table"):
        bl.read_curves(curve(), bl.load_model("chinchilla"), TEXT)
    with pytest.raises(bl.InputError, match="no column 'lr_area'"):
        bl.read_table(curve(), ANNEALING)


def test_odd_columns_of_a_curve_do_no_harm():
    data = bl.read_curves(curve(node=1, obs=2, annealing_area=3, lr_area=4), ANNEALING, TEXT)
    assert data["annealing_area"].dims == ("obs", "node")
    assert data["lr_area"].values[0] < 1
