"""Schedules: their text, their rates, the areas under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from conftest import PUBLISHED_SCHEDULES, shared

import bayeslaw as bl
from bayeslaw.law import schedule_inputs, schedule_kinds

COSINE, CONSTANT = (bl.parse_schedule(PUBLISHED_SCHEDULES[n]) for n in ("cosine_20000", "constant_20000"))
WARMUP = "peak=3e-4, warmup=2160"
# The nine schedules of arXiv:2503.12811; the wsdcon ones of the 25M model are logged to 14,144 only.
LOGGED = {
    "cosine_24000": f"cosine({WARMUP}, end=3e-5, total=24000)",
    "cosine_72000": f"cosine({WARMUP}, end=3e-5, total=72000)",
    "constant_24000": f"constant({WARMUP}, total=24000)",
    "constant_72000": f"constant({WARMUP}, total=72000)",
    "wsd_20000_24000": f"wsd({WARMUP}, end=3e-5, stable=20000, total=24000, decay='exponential')",
    "wsdld_20000_24000": f"wsd({WARMUP}, end=3e-5, stable=20000, total=24000, decay='linear')",
    "wsdcon_3": f"step({WARMUP}, at=8000, to=3e-5, total=16000)",
    "wsdcon_9": f"step({WARMUP}, at=8000, to=9e-5, total=16000)",
    "wsdcon_18": f"step({WARMUP}, at=8000, to=18e-5, total=16000)",
}


@pytest.mark.parametrize(
    ("schedule", "s1", "s2"),
    [(COSINE, 2.0501, 0.1974738), (CONSTANT, 4.0002, 0.0)],
    ids=["cosine", "constant"],
)
def test_areas_at_the_end_are_the_published_ones(schedule, s1, s2):
    end = np.array([20000])
    assert schedule.total == 20000
    assert schedule.area(end)[0] == pytest.approx(s1, rel=1e-12)
    assert schedule_inputs.annealing_area(schedule, end, 0.999)[0] == pytest.approx(s2, rel=5e-7, abs=1e-15)


def test_the_area_follows_its_recursion():
    """m_i = lam m_{i-1} + (lr_{i-1} - lr_i), S2 = the sum of m_i; warm-up's rise is no annealing."""
    schedule = bl.parse_schedule("wsd(peak=3e-4, end=3e-5, stable=200, total=300, warmup=50)")
    momentum, total, by_hand = 0.0, 0.0, []
    for i in range(301):
        fall = schedule.lr[i - 1] - schedule.lr[i] if i > 50 else 0.0
        momentum = 0.9 * momentum + fall
        total += momentum
        by_hand.append(total)
    np.testing.assert_allclose(
        schedule_inputs.annealing_area(schedule, np.arange(301), 0.9), by_hand, rtol=1e-12
    )
    assert (np.asarray(by_hand)[:201] == 0).all()


def test_a_second_warm_up_lowers_the_area():
    up = bl.parse_schedule("points(steps=[0, 100, 200, 300], lr=[1e-3, 1e-4, 1e-3, 1e-3])")
    area = schedule_inputs.annealing_area(up, np.arange(301), 0.95)
    assert area[100] > 0
    assert abs(area[300]) < 0.1 * area[100]


@pytest.mark.parametrize("lam", [0.95, 0.951, 0.97, 0.99, 0.999, 0.9995, 0.9997, 0.9998])
@pytest.mark.parametrize("text", [PUBLISHED_SCHEDULES["cosine_20000"], *LOGGED.values()])
def test_interpolated_areas_agree_with_the_recursion(text, lam):
    schedule = bl.parse_schedule(text)
    steps = np.arange(schedule.warmup, schedule.total + 1, 128)
    area = schedule_inputs.FUNCTIONS["annealing_area"]
    spread = (0.95, 0.9998)
    found = area.evaluate([lam], area.prepare(schedule, steps, [spread]), [spread], np)
    exact = schedule_inputs.annealing_area(schedule, steps, lam)
    # A decay of a few steps, or none, is the hardest to interpolate.
    tolerance = 1e-8 if text.startswith(("cosine", "constant")) else 1e-7
    np.testing.assert_allclose(found, exact, rtol=tolerance, atol=1e-8 * tolerance * exact.max() + 1e-16)


def test_an_area_is_evaluated_for_many_draws_at_once():
    area, spread = schedule_inputs.FUNCTIONS["annealing_area"], (0.95, 0.9998)
    steps = np.array([5000, 10000, 20000])
    prepared = area.prepare(COSINE, steps, [spread])
    found = area.evaluate([np.array([[0.96], [0.999]])], prepared, [spread], np)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found[1], schedule_inputs.annealing_area(COSINE, steps, 0.999), rtol=1e-8)


@pytest.mark.parametrize("size", ["25M", "100M"])
@pytest.mark.parametrize("name", LOGGED)
def test_a_schedules_text_gives_the_logged_rates(name, size):
    table = pd.read_csv(shared("schedules/loss_curves.csv"))
    rows = table[(table["schedule"] == name) & (table["model_size"] == size)]
    assert len(rows) > 90
    schedule = bl.parse_schedule(LOGGED[name])
    np.testing.assert_allclose(schedule.lr[rows["step"]], rows["lr"], rtol=1e-9)


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("constant(peak=2, total=3)", [2, 2, 2, 2]),
        ("constant(peak=2, total=4, warmup=2)", [0, 2, 2, 2, 2]),
        ("constant(peak=2, total=4, warmup=3)", [0, 1, 2, 2, 2]),
        ("constant(peak=2, total=4, warmup=2, hold=true)", [2, 2, 2, 2, 2]),
        ("cosine(peak=2, end=0, total=4)", [2, 1 + 0.5**0.5, 1, 1 - 0.5**0.5, 0]),
        ("cosine(peak=2, end=1, total=3, warmup=1)", [0, 2, 1.5, 1]),
        ("wsd(peak=2, end=1, stable=2, total=4)", [2, 2, 2, 1.5, 1]),
        ("wsd(peak=4, end=1, stable=2, total=4, decay='exponential')", [4, 4, 4, 2, 1]),
        ("wsd(peak=2, end=0, stable=2, total=4, decay='cosine')", [2, 2, 2, 1, 0]),
        ("wsd(peak=2, end=0, stable=0, total=4, decay='sqrt')", [2, 1, 2 - 2 * 0.5**0.5, 2 - 3**0.5, 0]),
        ("wsd(peak=2, end=1, stable=3, total=3)", [2, 2, 2, 2]),
        ("step(peak=2, at=2, to=1, total=3)", [2, 2, 1, 1]),
        ("step(peak=2, at=[1, 3], to=[1, 0.5], total=4)", [2, 1, 1, 0.5, 0.5]),
        ("points(steps=[0, 2, 3], lr=[0, 2, 1])", [0, 1, 2, 1]),
        (" constant( peak = 2e0 , total = 2.0 ) ", [2, 2, 2]),
    ],
)
def test_a_text_gives_these_rates(text, rates):
    schedule = bl.parse_schedule(text)
    np.testing.assert_allclose(schedule.lr, rates, atol=1e-15)
    assert schedule.total == len(rates) - 1


def test_logged_rates_are_joined_by_straight_lines():
    logged = (np.array([4, 6]), np.array([2.0, 1.0]))
    np.testing.assert_allclose(bl.parse_schedule("logged(warmup=3)", logged).lr, [0, 1, 2, 2, 2, 1.5, 1])


def test_a_new_kind_is_a_dataclass_and_a_row(monkeypatch):
    @dataclass(frozen=True)
    class Fall:
        peak: float
        total: float
        decay: str = "linear"
        warmup: float = 0.0
        hold: bool = False
        from_table = ()

        def odd(self):
            return "" if self.total > 1 else "it is too short."

        def rates(self):
            return schedule_kinds.DECAYS[self.decay](self.peak, 0.0, np.linspace(0, 1, int(self.total) + 1))

    monkeypatch.setitem(schedule_kinds.KINDS, "fall", Fall)
    np.testing.assert_allclose(bl.parse_schedule("fall(total=4, peak=2, warmup=2)").lr, [0, 1, 1, 0.5, 0])
    for text, said in {
        "fall(total=4)": "fall needs peak=…; add it",
        "fall(peak=1, total=4, end=0)": "unknown setting 'end'",
        "fall(peak=1, total=2.5)": "total=2.5, expected a whole number",
        "fall(peak=1, total=1)": "it is too short",
        "falls(peak=1)": "did you mean 'fall'",
    }.items():
        with pytest.raises(bl.InputError, match=said):
            bl.parse_schedule(text)
