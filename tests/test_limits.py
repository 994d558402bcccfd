"""What would never end, or never fit into memory, is refused at once with a sentence; so are numbers that are none."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from conftest import noiseless

import bayeslaw as bl
from bayeslaw import inference
from bayeslaw.counts import MOST_K
from bayeslaw.schedules import MAX_STEPS

X = np.geomspace(1, 1e5, 30)
POWER = bl.change(bl.load_model("power"), fix={"floor": 0.0})
COMPUTE = bl.load_model("compute")
LADDER = bl.read_table(pd.DataFrame({"x": X, "y": 3 * X**-0.2, "group": [f"g{i}" for i in range(30)]}), POWER)
MANY = bl.read_table(
    pd.DataFrame({"x": np.arange(1.0, 302), "y": 2.0, "model": [f"m{i}" for i in range(301)]}), POWER
)
COUNTS = pd.DataFrame({
    "model": list("aabb"), "problem": list("pqpq"), "n": 9, "c": [1, 2, 3, 4], "compute": [1e18, 1e18, 1e19, 1e19],
})  # fmt: skip
HUGE = 99999999999999999999
MANY_ROWS = LADDER.isel(obs=np.zeros(30_000, dtype=int))


def fitted(**settings):
    return lambda: bl.fit(POWER, LADDER, **settings)


def stable(**settings):
    return lambda: bl.stability(POWER, LADDER, "x", **settings)


def backtested(**settings):
    return lambda: bl.backtest(POWER, LADDER, **{"along": "x", **settings})


def forecast(**arguments):
    return lambda: bl.forecast(curve(), **arguments)


def curve():
    if "curve" not in _MADE:
        _MADE["curve"] = bl.fit(*noiseless("annealing"), "map", bootstrap=4)
        _MADE["point"] = bl.fit(POWER, LADDER, "map", bootstrap=4)
    return _MADE["curve"]


def point():
    curve()
    return _MADE["point"]


_MADE: dict[str, bl.Fit] = {}


def law(starts):
    document = dict(bl.load_model("chinchilla").document)
    document["map"] = {**document["map"], "starts": starts}
    from bayeslaw.reading import parse_spec

    return parse_spec(document, "mine")


CASES = [
    ("tune 0", fitted(tune=0), ["tune: found 0", "50 or more", "step"]),
    ("tune 49", fitted(tune=49), ["tune: found 49", "50 or more"]),
    ("tune huge", fitted(tune=10**7), ["tune: found 10000000", "at most 1,000,000"]),
    ("draws huge", fitted(draws=HUGE), [f"draws: found {HUGE}", "at most 1,000,000"]),
    ("draws 3", fitted(draws=3), ["draws: found 3", "4 or more"]),
    ("chains huge", fitted(chains=65), ["chains: found 65", "at most 64"]),
    ("seed huge", fitted(seed=2**63), ["seed: found", "at most 9,223,372,036,854,775,807"]),
    ("bootstrap huge", fitted(method="map", bootstrap=10**6), ["bootstrap: found 1000000", "at most 100,000"]),
    ("draws × rows", lambda: bl.fit(POWER, MANY_ROWS, draws=10_000), ["draws × chains × rows", "40,000 × 30,000 rows", "10 GB", "at most 16,666"]),
    ("bootstrap × rows", lambda: bl.fit(POWER, MANY_ROWS, "map", bootstrap=20_000), ["bootstrap × rows", "at most 16,666"]),
    ("accept nan", fitted(target_accept=np.nan), ["target_accept: found nan"]),
    ("accept an int", fitted(target_accept=1), ["target_accept: found 1", "between 0 and 1"]),
    ("every tiny", stable(every=1e-9), ["5,000,000,000 windows", "at most 200", "every=1e-09 must be 0.025 or more"]),
    ("every nan", stable(every=np.nan), ["every: found nan", "positive number"]),
    ("every inf", stable(every=np.inf), ["every: found inf"]),
    ("every true", stable(every=True), ["every: found True"]),
    ("delta nan", stable(delta=np.nan), ["delta: found nan"]),
    ("delta of nothing", stable(delta={"alhpa": 0.1}), ["delta: found 'alhpa'", "did you mean 'alpha'"]),
    ("width inf", stable(width=np.inf), ["width: found inf"]),
    ("claim nan", stable(claim=np.nan), ["claim: found nan"]),
    ("claim text", stable(claim="1.5"), ["claim: found '1.5'"]),
    ("target nan", stable(target=np.nan), ["target: found nan", "value of the column along"]),
    ("target text", stable(target="1e3"), ["target: found '1e3'"]),
    ("tune of a study", stable(tune=0), ["tune: found 0"]),
    ("draws of a study", stable(draws=HUGE), ["draws: found"]),
    ("tune of a back-test", backtested(tune=0), ["tune: found 0"]),
    ("chains of a back-test", backtested(chains=0), ["chains: found 0"]),
    ("bootstrap of a back-test", backtested(bootstrap=3), ["bootstrap: found 3", "20 or more"]),
    ("target of a back-test", backtested(target=np.nan), ["target: found nan", "value of the column along"]),
    ("target infinite", backtested(target=np.inf), ["target: found inf"]),
    ("windows nan", backtested(windows=[np.nan]), ["windows: found [nan]", "numbers"]),
    ("windows none", backtested(windows=[]), ["windows: found []"]),
    ("windows many", backtested(windows=list(np.linspace(1, 9, 300))), ["300 windows", "at most 200", "give fewer"]),
    ("groups many", lambda: bl.backtest(POWER, MANY, "model"), ["301 windows", "at most 200", "name the groups"]),
    ("groups named many", lambda: bl.backtest(POWER, MANY, "model", windows=[f"m{i}" for i in range(250)]), ["250 windows", "name fewer"]),
    ("methods a number", backtested(methods=3), ["methods: found 3", "a list of names"]),
    ("method of none", backtested(methods=["postrior"]), ["methods: found 'postrior'", "did you mean 'posterior'"]),
    ("total beyond all runs", forecast(schedule="constant(peak=1, total=20000000)"), ["total=20000000.0", str(MAX_STEPS), "steps, not tokens"]),
    ("points beyond all runs", forecast(schedule="points(steps=[0, 3000000], lr=[1, 1])"), ["'steps' must rise", str(MAX_STEPS)]),
    ("steps many", forecast(schedule="constant(peak=2e-4, total=90000)", steps=range(1, 60_001)), ["60,000 of them", "at most 50,000", "--every"]),
    ("steps without end", forecast(schedule="constant(peak=2e-4, total=9000)", steps=range(10**15)), ["at most 50,000"]),
    ("targets many", lambda: bl.forecast(point(), {"x": np.ones(50_001)}), ["50,001 of them", "in parts"]),
    ("steps of no schedule", lambda: bl.forecast(point(), {"x": [1.0]}, steps=[3]), ["steps: model 'power' has none"]),
    ("target huge", lambda: bl.forecast(point(), {"x": [10**400]}), ["expected {'input': [numbers]}"]),
    ("prob nan", lambda: bl.forecast(point(), {"x": [1.0]}, np.nan), ["prob: found nan"]),
    ("prob of a summary", lambda: bl.summary(point(), 1.5), ["prob: found 1.5"]),
    ("k huge", lambda: bl.pass_at_k(COUNTS, MOST_K + 1), ["k: found 10000001", "at most 10,000,000"]),
    ("k of a table", lambda: bl.read_table(COUNTS, COMPUTE, k=10**30), ["k: found 1", "at most 10,000,000"]),
    ("ks many", lambda: bl.pass_at_k(COUNTS, range(1, 2000)), ["k: found 1999 of them", "at most 1000"]),
    ("ks none", lambda: bl.pass_at_k(COUNTS, []), ["k: found 0 of them", "one or more"]),
    ("k a mapping", lambda: bl.stability_by_k(COMPUTE, COUNTS, {"k": 1}), ["k: found {'k': 1}", "a list of whole numbers"]),
    ("starts many", lambda: law({"A": list(range(1, 1001)), "B": list(range(1, 1001))}), ["[map] starts", "1,000,000 combinations", "at most 100,000"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "fragments"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_would_not_end_is_refused_at_once(call, fragments, monkeypatch):
    monkeypatch.setattr(inference, "_posterior", lambda *_: pytest.fail("it began to sample"))
    curve()
    start = time.perf_counter()
    with pytest.raises(bl.InputError) as caught:
        call()
    assert time.perf_counter() - start < 2
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message, message


def test_what_is_large_but_sound_goes_through():
    fc = bl.forecast(curve(), schedule="constant(peak=2e-4, warmup=500, total=120000)")
    assert fc.sizes["step"] == 39_835 and fc["step"].values[[0, -1]].tolist() == [500, 120_000]
    assert (np.diff(fc["step"].values)[:-1] == 3).all(), "one in three"
    assert bl.pass_at_k(COUNTS, np.int64(3))["k"].tolist() == [3, 3]
    assert bl.summary(point(), np.float32(0.5)).shape[0]
    assert len(bl.forecast(point(), {"x": [1.0]}, seed=2**63 - 1)["target"]) == 1


@pytest.mark.parametrize("given", ["Binomial", "binomial", "BINOMIAL", {"family": "binomial"}])
def test_a_likelihood_is_named_in_any_letters(given):
    assert bl.change(COMPUTE, likelihood=given) == bl.change(COMPUTE, likelihood={"family": "Binomial"})


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        ({"likelihood": "beta-binomial"}, ["likelihood, family: found 'beta-binomial'", "did you mean 'Binomial'", "Normal, StudentT"]),
        ({"likelihood": {"family": 3}}, ["likelihood, family: found 3", "Allowed: Binomial"]),
        ({"likelihood": ["Binomial"]}, ["likelihood: found ['Binomial']", "a family's name"]),
        ({"fix": ["lam"]}, ["fix: found ['lam']", "a mapping such as"]),
        ({"fix": "alpha=3"}, ["fix: found 'alpha=3'"]),
        ({"fix": {3: 1.0}}, ["names of parameters"]),
        ({"prior": [(0, 1)]}, ["prior: found [(0, 1)]"]),
        ({"prior": {"alpha": 3}}, ["alpha prior_90", "expected a list of numbers"]),
        ({"pool": "family"}, ["pool: found 'family'", '{"level": "family"}']),
        ({"discrepancy": "brownian"}, ["discrepancy: found 'brownian'", "None, or a table"]),
        ({"scale": ["log"]}, ["scale: found ['log']", "identity, log, logit"]),
    ],
)  # fmt: skip
def test_a_change_that_is_none_is_refused(change, fragments):
    with pytest.raises(bl.InputError) as caught:
        bl.change(COMPUTE, **change)
    for fragment in fragments:
        assert fragment in str(caught.value)
