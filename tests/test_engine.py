"""The engine of studies: fits in order, shared fits made once, a failure costs no other; tasks are plain."""

from __future__ import annotations

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
from conftest import handmade, noiseless

import bayeslaw as bl
from bayeslaw.studies import engine as engines
from bayeslaw.studies.backtest.scores import window_scores
from bayeslaw.studies.engine import Task, engine
from bayeslaw.studies.stability.fits import window_said
from bayeslaw.studies.stacking import block_score

POINT = {"method": "map", "bootstrap": 4, "seed": 0}


@pytest.fixture(scope="module")
def power():
    return noiseless("power", noise=0.02)


def rows_of(fitted: bl.Fit, given: dict) -> int:
    if given.get("breaks"):
        raise RuntimeError("no\nstart")
    return fitted.data.sizes["obs"] + given.get("more", 0)


def ran(tasks):
    steps = []
    outcomes = engines.Engine(steps.append).run(tasks)
    assert steps == list(range(1, len(tasks) + 1))
    return outcomes


def test_tasks_run_in_order_and_a_failure_costs_no_other(power):
    spec, data = power
    few, tasks = data.isel(obs=slice(0, 10)), []
    tasks.append(Task(spec, data, POINT, rows_of))
    tasks.append(Task(spec, few, POINT, rows_of, {"breaks": True}))
    tasks.append(Task(spec, data.drop_vars("x"), POINT, rows_of))
    tasks.append(Task(spec, few, POINT, rows_of, {"more": 100}))
    found = ran(tasks)
    assert [o.value for o in found] == [40, None, None, 110]
    assert found[1].failed == "no start" and "'x'" in found[2].failed
    assert found[0].failed == "" and found[0].seconds > 0 and np.isnan(found[1].seconds)


def test_what_is_no_failure_of_a_fit_is_raised(power):
    def wrong(fitted, given):
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        ran([Task(*power, POINT, wrong)])


def test_equal_keys_share_a_fit(power, monkeypatch):
    spec, data = power
    calls = []
    monkeypatch.setattr(engines, "fit", lambda *a, **s: calls.append(s) or bl.fit(*a, **s))
    tasks = [
        Task(spec, data, POINT, rows_of, {"more": i}, key) for i, key in enumerate(["a", "b", "a", None])
    ]
    assert [o.value for o in ran(tasks)] == [40, 41, 42, 43]
    assert len(calls) == 3


def backtested(spec, data):
    return bl.backtest(spec, data, "x", windows=[1e4], methods="point", bootstrap=20, progress=False)


def stacked(spec, data):
    fit = handmade("power", bl.change(spec, discrepancy=None))
    return bl.stack({"a": fit, "b": fit}, progress=False)


def studied(spec, data):
    return bl.stability(spec, data, along="x", progress=False)


@pytest.mark.parametrize(
    ("study", "ask"), [(backtested, window_scores), (stacked, block_score), (studied, window_said)]
)
def test_every_studys_tasks_are_plain_and_do_the_same_elsewhere(power, study, ask, monkeypatch):
    """What one process would send to another: asked of a copy, a task gives the same answer."""
    seen, attempt = [], engines.attempt

    def twice(task, kept):
        copy = pickle.loads(pickle.dumps(task))
        assert task.ask is copy.ask is ask
        seen.append(task)
        if ask is not window_scores:  # these sample
            return engines.Outcome(failed="not here")
        one, two = attempt(task, kept), attempt(copy, {})
        for name, value in one.value.items():
            np.testing.assert_array_equal(value, two.value[name])
        return one

    monkeypatch.setattr(engines, "attempt", twice)
    if ask is window_scores:
        study(*power)
    else:
        with pytest.raises(bl.InputError, match="not here"):
            study(*power)
    assert seen


def test_an_engine_shows_progress(power, monkeypatch):
    told = []

    @contextmanager
    def work(*asked):
        told.append(asked)
        yield told.append

    monkeypatch.setattr(engines, "work", work)
    with engine("a study", 1, None) as running:
        running.run([Task(*power, POINT, rows_of)])
    assert told == [("a study", 1, None), 1]
