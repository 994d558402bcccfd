"""Numbers of samples that hang on the outcomes: told where they do, and only there."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayeslaw as bl
from bayeslaw.core.check import from_json
from bayeslaw.data.adaptive import ADAPTIVE_LEVEL, sampling_checks

SIZES = np.array([128, 640, 2048, 10112])
MODELS, PROBLEMS = 9, 64


def rates(rng, models=MODELS, problems=PROBLEMS) -> np.ndarray:
    """Success rates like GSM8K's: from one in ten thousand to one in ten, easy problems easy for every model."""
    easy = rng.standard_normal(problems)
    level = np.linspace(-9.0, -4.5, models)[:, None]
    return np.exp(level + 1.5 * easy + rng.standard_normal((models, problems))).clip(0, 0.95)


def table(n, c) -> pd.DataFrame:
    models, problems = n.shape
    return pd.DataFrame({"model": np.repeat([f"m{i}" for i in range(models)], problems),
                         "problem": np.tile(np.arange(problems).astype(str), models), "n": n.ravel(), "c": c.ravel()})  # fmt: skip


def each(rng, p):
    """n of every problem and model by lot."""
    return rng.choice(SIZES, p.shape)


def by_problem(rng, p):
    """n by lot for a problem, the same for every model: what makes it easy is shared, too."""
    return np.broadcast_to(rng.choice(SIZES, p.shape[1]), p.shape)


def in_order(rng, p):
    """Every model's run was extended, in one order of the problems, and broke off somewhere."""
    place = rng.permutation(p.shape[1])
    return np.stack([np.where(place < rng.integers(1, p.shape[1]), 10112, rng.choice(SIZES[:3])) for _ in p])


def any_number(rng, p):
    return np.exp(rng.normal(6, 1.5, p.shape)).astype(int) + 1


FIXED = (each, by_problem, in_order, any_number)


def first_success(rng, p):
    """Batches of 128 until one holds a success, 10112 samples at most."""
    at = rng.geometric(p)
    n = np.minimum(-(-at // 128) * 128, 10112)
    return n, np.where(at <= n, 1, 0)


def three_successes(rng, p):
    at = 3 + rng.negative_binomial(3, p)
    return np.minimum(at, 10112), np.where(at <= 10112, 3, np.minimum(rng.binomial(10112, p), 2))


def pilot(rng, p):
    """128 samples, and where none succeeded many more."""
    c = rng.binomial(128, p)
    more = c == 0
    return np.where(more, 10112, 128), c + np.where(more, rng.binomial(10112 - 128, p), 0)


STOPPED = (first_success, three_successes, pilot)


@pytest.mark.parametrize("rule", FIXED)
def test_n_without_regard_to_success_is_no_news(rule):
    """Fifty tables a rule, 200 in all. At the level of 1e-3 more than two false alarms come once in a thousand times."""
    told = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        p = rates(rng)
        n = rule(rng, p)
        told += sampling_checks(table(n, rng.binomial(n, p)), ["model"])
    assert stats.binom.sf(2, 200, ADAPTIVE_LEVEL) < 2e-3
    assert len(told) <= 2


def test_a_plain_rank_correlation_would_cry_wolf():
    """Few samples hold no success more often than many: c / n and n correlate although n was drawn by lot."""
    rng = np.random.default_rng(0)
    p = rates(rng)
    n = each(rng, p)
    c = rng.binomial(n, p)
    plain = [stats.spearmanr(a, b / a).pvalue for a, b in zip(n, c, strict=True)]
    assert np.median(plain) < 0.01
    assert sampling_checks(table(n, c), ["model"]) == []


@pytest.mark.parametrize("rule", STOPPED)
def test_stopping_at_successes_is_told(rule):
    told = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        told += sampling_checks(table(*rule(rng, rates(rng))), ["model"])
    assert len(told) >= 19
    assert all(c.name == "adaptive-sampling" and c.level == "warn" and c.value < 0 for c in told)
    assert "c/n and pass@k are too high, −log pass@k too low" in told[0].message


def test_and_so_is_going_on_after_successes():
    rng = np.random.default_rng(0)
    p = rates(rng)
    c = rng.binomial(128, p)
    n = np.where(c > 0, 10112, 128)
    (told,) = sampling_checks(table(n, c + rng.binomial(n - 128, p)), ["model"])
    assert told.value > 0 and "are too low, −log pass@k too high" in told.message


def test_n_that_the_problem_sets_is_a_note():
    """Hard problems get more samples by design, the same for every model: no rule that looked at these outcomes."""
    rng = np.random.default_rng(0)
    p = rates(rng)
    n = np.broadcast_to(np.where(p.mean(axis=0) < np.median(p.mean(axis=0)), 2048, 128), p.shape)
    counts = table(n, rng.binomial(n, p))
    (told,) = sampling_checks(counts, ["model"])
    assert (told.name, told.level) == ("adaptive-sampling", "note")
    assert "n was set by the problem" in told.message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert from_json(bl.pass_at_k(counts).attrs["checks"]) == [told]
    (alone,) = sampling_checks(counts.assign(problem=counts["model"] + counts["problem"]), ["model"])
    assert alone.level == "warn"  # no two models share a problem: who set n is not to be seen


def test_the_advice_names_no_biased_way_out():
    """Under a rule that stops at the third success, cut at the smallest n all are as biased as before."""
    rng = np.random.default_rng(1)
    (told,) = sampling_checks(table(*three_successes(rng, np.full((200, 100), 0.02))), ["model"])
    assert (
        "a number chosen without looking at the outcomes (the smallest n depends on them, too)"
        in told.message
    )


def test_the_direction_that_is_told_is_the_one_of_the_bias():
    rng = np.random.default_rng(1)
    p = np.full((200, 100), 0.02)
    n, c = three_successes(rng, p)
    assert (c / n).mean() > 0.02 * 1.2
    (told,) = sampling_checks(table(n, c), ["model"])
    assert "too high" in told.message


@pytest.mark.parametrize(
    ("n", "c"),
    [
        (np.full((2, 20), 50), np.arange(40).reshape(2, 20)),
        (np.repeat([[10], [90]], 20, axis=1), np.repeat([[0], [9]], 20, axis=1)),
        (np.arange(1, 41).reshape(2, 20), np.zeros((2, 20), int)),
        (np.arange(1, 41).reshape(2, 20), np.arange(1, 41).reshape(2, 20)),
        (np.array([[5]]), np.array([[2]])),
        (np.array([[5, 9]]), np.array([[2, 0]])),
    ],
    ids=["one n", "one n a model", "none solved", "all solved", "one problem", "two problems"],
)
def test_what_cannot_tell_tells_nothing(n, c):
    assert sampling_checks(table(n, c), ["model"]) == []


def test_millions_of_samples_do_no_harm():
    n = np.array([[2_980_608, 50_048, 100_096, 3, 7] * 4])
    c = np.array([[3, 0, 1, 0, 2] * 4])
    with np.errstate(all="raise"):
        assert sampling_checks(table(n, c), ["model"]) == []


@pytest.fixture(scope="module")
def stopped() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    counts = table(*first_success(rng, rates(rng)))
    return counts.assign(compute=np.repeat(np.geomspace(1e18, 1e22, MODELS), PROBLEMS))


def test_pass_at_k_warns_and_keeps_the_check(stopped):
    with pytest.warns(
        UserWarning, match="pass_at_k: Problems with fewer successes have more samples"
    ) as told:
        found = bl.pass_at_k(stopped, k=[1, 10])
    assert told[0].filename == __file__
    (check,) = from_json(found.attrs["checks"])
    assert check.name == "adaptive-sampling"


def test_a_fit_says_so_and_reading_warns_of_nothing_in_python(stopped):
    spec = bl.load_model("compute")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = bl.read_table(stopped, spec, k=1)
        fit = bl.fit(spec, data, "map", bootstrap=0, progress=False)
    assert "adaptive-sampling" in {c.name for c in from_json(data.attrs["checks"])}
    assert "adaptive-sampling" in {c.name for c in bl.checks(fit) if c.level == "warn"}


def test_sound_counts_keep_no_check(tmp_path):
    found = bl.pass_at_k(table(np.full((2, 3), 10), np.array([[1, 2, 3], [0, 0, 4]])))
    assert from_json(found.attrs["checks"]) == []
    found.to_parquet(tmp_path / "table.parquet")  # which keeps attributes that are plain text alone


def test_the_published_checkpoints_n_does_not_hang_on_their_outcomes(counts):
    """Samples differ by a hundred between checkpoints, and within 43 of 81. There the runs that were extended are
    the same few problems in one order, up to where a run broke off; at equal n they are no harder than the rest."""
    n = counts.groupby("model")["n"]
    assert (n.nunique() > 1).sum() == 43
    assert from_json(bl.pass_at_k(counts).attrs["checks"]) == []
    assert from_json(bl.pass_at_k(counts[counts["lr_warming_up"] == 0]).attrs["checks"]) == []
