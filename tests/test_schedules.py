"""Schedules: their text, their rates, the areas under them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import PUBLISHED_SCHEDULES, shared

import bayeslaw as bl
from bayeslaw import functions
from bayeslaw.schedules import MAX_STEPS

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
    assert functions.annealing_area(schedule, end, 0.999)[0] == pytest.approx(s2, rel=5e-7, abs=1e-15)


def test_the_area_follows_its_recursion():
    """m_i = lam m_{i-1} + (lr_{i-1} - lr_i), S2 = the sum of m_i; warm-up's rise is no annealing."""
    schedule = bl.parse_schedule("wsd(peak=3e-4, end=3e-5, stable=200, total=300, warmup=50)")
    momentum, total, by_hand = 0.0, 0.0, []
    for i in range(301):
        fall = schedule.lr[i - 1] - schedule.lr[i] if i > 50 else 0.0
        momentum = 0.9 * momentum + fall
        total += momentum
        by_hand.append(total)
    np.testing.assert_allclose(functions.annealing_area(schedule, np.arange(301), 0.9), by_hand, rtol=1e-12)
    assert (np.asarray(by_hand)[:201] == 0).all()


def test_a_second_warm_up_lowers_the_area():
    up = bl.parse_schedule("points(steps=[0, 100, 200, 300], lr=[1e-3, 1e-4, 1e-3, 1e-3])")
    area = functions.annealing_area(up, np.arange(301), 0.95)
    assert area[100] > 0
    assert abs(area[300]) < 0.1 * area[100]


@pytest.mark.parametrize("lam", [0.95, 0.951, 0.97, 0.99, 0.999, 0.9995, 0.9997, 0.9998])
@pytest.mark.parametrize("text", [PUBLISHED_SCHEDULES["cosine_20000"], *LOGGED.values()])
def test_interpolated_areas_agree_with_the_recursion(text, lam):
    schedule = bl.parse_schedule(text)
    steps = np.arange(schedule.warmup, schedule.total + 1, 128)
    area = functions.FUNCTIONS["annealing_area"]
    spread = (0.95, 0.9998)
    found = area.evaluate(lam, area.prepare(schedule, steps, spread), spread, np)
    exact = functions.annealing_area(schedule, steps, lam)
    # A decay of a few steps, or none, is the hardest to interpolate.
    tolerance = 1e-8 if text.startswith(("cosine", "constant")) else 1e-7
    np.testing.assert_allclose(found, exact, rtol=tolerance, atol=1e-8 * tolerance * exact.max() + 1e-16)


def test_an_area_is_evaluated_for_many_draws_at_once():
    area, spread = functions.FUNCTIONS["annealing_area"], (0.95, 0.9998)
    steps = np.array([5000, 10000, 20000])
    prepared = area.prepare(COSINE, steps, spread)
    found = area.evaluate(np.array([[0.96], [0.999]]), prepared, spread, np)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found[1], functions.annealing_area(COSINE, steps, 0.999), rtol=1e-8)


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


MALFORMED = [
    ("", ["expected kind(name=value", "kinds: constant, cosine"]),
    ("cosine", ["expected kind(name=value"]),
    ("cosine(3e-4, 24000)", ["expected kind(name=value"]),
    ("cosine(**x)", ["expected kind(name=value"]),
    ("cosine(peak=3e-4, end=0, total=", ["expected kind(name=value"]),
    ("constant(peak=1, peak=2, total=9)", ["expected kind(name=value"]),
    ("a.b(peak=1)", ["expected kind(name=value"]),
    ("constant(peak=1, total=9) + 1", ["expected kind(name=value"]),
    ("constant(peak=open('x'), total=9)", ["expected kind(name=value"]),
    ("constant(peak=9**9**9, total=9)", ["expected kind(name=value"]),
    ("constant(peak={[]: 1}, total=9)", ["expected kind(name=value"]),
    ("constant(peak=1e999, total=9)", ["expected kind(name=value"]),
    ("constant(peak=1" + "0" * 400 + ", total=9)", ["expected kind(name=value"]),
    ("constant(peak=1" + "0" * 5000 + ", total=9)", ["expected kind(name=value"]),
    ("constant(peak=" + "-" * 9000 + "1, total=9)", ["expected kind(name=value"]),
    ("constant(peak=" + "[" * 150 + "]" * 150 + ", total=9)", ["expected kind(name=value"]),
    ("constant(peak=None, total=9)", ["expected kind(name=value"]),
    ("constant(peak=1j, total=9)", ["expected kind(name=value"]),
    ("cosin(peak=1, end=0, total=9)", ["unknown kind 'cosin'", "did you mean 'cosine'"]),
    ("__import__(name=1)", ["unknown kind '__import__'"]),
    ("cosine(peek=1, end=0, total=9)", ["unknown setting 'peek'", "did you mean 'peak'"]),
    ("constant(peak=1, total=9, end=1)", ["unknown setting 'end'"]),
    ("cosine(peak=1, total=9)", ["cosine needs end=…"]),
    ("wsd(peak=1, end=0, total=9)", ["wsd needs stable=…"]),
    ("constant(peak='a', total=9)", ["peak='a'", "a number, 0 or more"]),
    ("constant(peak=true, total=9)", ["peak=True"]),
    ("constant(peak=[1, 2], total=9)", ["peak=[1.0, 2.0]"]),
    ("constant(peak=-1, total=9)", ["peak=-1.0", "0 or more"]),
    ("constant(peak=0, total=9)", ["not all zero"]),
    ("constant(peak=1, total=9.5)", ["total=9.5", "a whole number"]),
    ("constant(peak=1, total=1e99)", ["total=1e+99", str(MAX_STEPS)]),
    ("constant(peak=1, total=-1)", ["total=-1.0", "a whole number"]),
    ("constant(peak=1, total=0)", ["warmup < total"]),
    ("constant(peak=1, total=9, warmup=9)", ["warmup < total"]),
    ("constant(peak=1, total=9, warmup=1.5)", ["warmup=1.5"]),
    ("constant(peak=1, total=9, hold=1)", ["hold=1.0", "true or false"]),
    ("wsd(peak=1, end=0, stable=10, total=9)", ["warmup ≤ stable ≤ total"]),
    ("wsd(peak=1, end=0, stable=1, total=9, warmup=2)", ["warmup ≤ stable ≤ total"]),
    ("wsd(peak=1, end=.1, stable=1, total=9, decay='log')", ["decay='log'", "linear, exponential"]),
    ("wsd(peak=1, end=.1, stable=1, total=9, decay=[1])", ["decay=[1.0]", "linear, exponential"]),
    ("wsd(peak=1, end=0, stable=1, total=9, decay='exponential')", ["needs end > 0"]),
    ("step(peak=1, at=[1, 2], to=3, total=9)", ["as many entries as 'to'"]),
    ("step(peak=1, at=[2, 1], to=[3, 4], total=9)", ["'at' must rise"]),
    ("step(peak=1, at=10, to=1, total=9)", ["0 … total"]),
    ("step(peak=1, at=1, to=-1, total=9)", ["not negative"]),
    ("points(steps=[0, 5], lr=[1])", ["lr=[1.0]", "two or more"]),
    ("points(steps=[0, 5, 3], lr=[1, 2, 3])", ["'steps' must rise"]),
    ("points(steps=[0, 5], lr=[1, 2, 3])", ["as many entries as 'lr'"]),
    ("points(steps=[-1, 5], lr=[1, 2])", ["'steps' must rise"]),
    ("points(steps=[0, 1e12], lr=[1, 2])", ["'steps' must rise"]),
    ("points(steps=3, lr=4)", ["a list of two or more numbers"]),
    ("logged()", ["no table with an 'lr' column"]),
    (None, ["expected kind(name=value"]),
    (5, ["expected kind(name=value"]),
    ("constant(" + "x" * 100_001, ["expected kind(name=value"]),
]


@pytest.mark.parametrize(("text", "fragments"), MALFORMED, ids=lambda v: repr(v)[:40] if v else "empty")
def test_a_malformed_schedule_is_refused(text, fragments):
    with pytest.raises(bl.InputError) as caught:
        bl.parse_schedule(text)
    message = str(caught.value)
    assert message.startswith("schedule ")
    assert len(message) < 500
    for fragment in fragments:
        assert fragment in message
