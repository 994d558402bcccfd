"""pass@k from counts: exact where it can be, missing where nothing is unbiased."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from conftest import shared

import bayeslaw as bl
from bayeslaw.data.estimators import sampling_variance, unbiased


def exact(n: int, c: int, k: int) -> float:
    return float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))


def table(n, c, **columns) -> pd.DataFrame:
    return pd.DataFrame({"model": "m", "problem": [str(i) for i in range(len(n))], "n": n, "c": c, **columns})


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_every_small_count_agrees_with_exact_fractions(n):
    c = np.arange(n + 1)
    for k in range(1, n + 1):
        expected = [exact(n, int(x), k) for x in c]
        np.testing.assert_allclose(unbiased(np.full(n + 1, n), c, k), expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("n", "c", "k"),
    [
        (10_000, 3, 1),
        (10_000, 3, 9_000),
        (10_000, 9_000, 3),
        (10_000, 500, 500),
        (1_000_000, 1, 10),
        (1_000_000, 7, 999),
    ],
)
def test_large_counts_agree_with_exact_fractions(n, c, k):
    assert unbiased(np.array([n]), np.array([c]), k)[0] == pytest.approx(exact(n, c, k), rel=1e-10)


def test_zeros_and_ones_are_exact():
    n = np.array([128, 50_048, 3_000_000, 10, 10])
    assert (unbiased(n, np.zeros(5, dtype=int), 10) == 0.0).all()
    assert (unbiased(n, n, 10) == 1.0).all()
    assert unbiased(np.array([10]), np.array([8]), 3)[0] == 1.0
    found = bl.pass_at_k(table([10, 20], [0, 0]), k=5)
    assert found["pass_at_k"][0] == 0.0
    assert found["se_these_problems"][0] == 0.0


def test_beyond_the_samples_nothing_is_estimated():
    found = bl.pass_at_k(table([10, 5], [1, 1]), k=[5, 6, 11])
    assert list(found["too_few_samples"]) == [0, 1, 2]
    assert found[["pass_at_k", "se_these_problems", "se_new_problems"]].isna().all(axis=1).tolist() == [
        False,
        True,
        True,
    ]


def test_groups_are_those_that_are_there():
    counts = pd.concat([table([4, 4], [1, 3], benchmark="A"), table([4], [2], benchmark="B")])
    found = bl.pass_at_k(counts)
    assert found[["benchmark", "model", "problems"]].to_numpy().tolist() == [["A", "m", 2], ["B", "m", 1]]
    np.testing.assert_allclose(found["pass_at_k"], 0.5)
    assert len(bl.pass_at_k(table([4], [1]).drop(columns="model"))) == 1


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("Pythia 12B", (0.02319, 0.4834, 0.8750)),
        ("Pythia 6.9B", (0.01856, 0.4316, 0.8359)),
        ("Pythia 2.8B", (0.02031, 0.4220, 0.8125)),
        ("Pythia 1B", (0.00833, 0.2745, 0.7422)),
        ("Pythia 410M", (0.00622, 0.2272, 0.6562)),
        ("Pythia 160M", (0.00267, 0.1619, 0.5703)),
        ("Pythia 70M", (0.00065, 0.0361, 0.2656)),
    ],
)
def test_published_counts_give_the_golden_numbers(model, values):
    counts = pd.read_csv(shared("pythia/math_final_counts.csv"))
    found = bl.pass_at_k(counts[counts["model"] == model], k=[1, 100, 10_000])
    for estimate, golden, half in zip(found["pass_at_k"], values, (5e-6, 5e-5, 5e-5), strict=True):
        assert abs(estimate - golden) <= half * 1.01
    assert (found["problems"] == 128).all()


def test_the_largest_model_stands_where_the_paper_has_it(counts):
    """arXiv:2509.24012's target for GSM8K at k = 1, as re-computed: y = 4.5167."""
    last = counts[counts["model"] == "Pythia_12B_300B"]
    assert -math.log(bl.pass_at_k(last)["pass_at_k"][0]) == pytest.approx(4.5167, abs=5e-5)


@pytest.mark.parametrize(
    ("n", "c"), [(10, 1), (128, 40), (50_048, 3), (3_000_000, 1), (3_000_000, 2_999_999)]
)
def test_sampling_variance_at_one_sample_is_the_binomials(n, c):
    p = c / n
    found = sampling_variance(np.array([n]), np.array([c]), 1)[0]
    assert found == pytest.approx(p * (1 - p) / (n + 1), rel=1e-10)
    assert found == pytest.approx(p * (1 - p) / n, rel=1.01 / n)


@pytest.mark.parametrize(
    ("n", "c", "k"), [(20, 3, 1), (20, 3, 10), (100, 40, 5), (1000, 2, 100), (1000, 700, 3)]
)
def test_sampling_variance_agrees_with_simulation(n, c, k):
    """Of 1 - (1-p)^k over the Bayesian bootstrap of the samples."""
    p = np.random.default_rng(3).beta(c, n - c, size=400_000)
    assert sampling_variance(np.array([n]), np.array([c]), k)[0] == pytest.approx(
        np.var(1 - (1 - p) ** k), rel=0.02
    )


@pytest.mark.parametrize(("p", "n", "k"), [(0.3, 200, 1), (0.02, 2000, 10), (0.3, 400, 4)])
def test_sampling_variance_predicts_how_estimates_scatter(p, n, k):
    c = np.random.default_rng(4).binomial(n, p, size=20_000)
    n = np.full(len(c), n)
    assert sampling_variance(n, c, k).mean() == pytest.approx(unbiased(n, c, k).var(), rel=0.06)


def test_sampling_variance_is_finite_and_not_negative_everywhere():
    n = np.array([1, 2, 10, 10_000, 10_000, 10_000, 3_000_000])
    c = np.array([1, 1, 9, 5_000, 9_999, 1, 5])
    for k in (1, 2, 1000, 10_000):
        variance = sampling_variance(n, c, k)
        assert np.isfinite(variance).all()
        assert (variance >= 0).all()


def test_standard_errors_say_which_problems_they_are_for():
    found = bl.pass_at_k(table([100] * 4, [0, 10, 50, 100]), k=1)
    these = sum(p * (1 - p) / 101 for p in (0.1, 0.5)) ** 0.5 / 4
    assert found["se_these_problems"][0] == pytest.approx(these, rel=1e-12)
    new = np.var([0, 0.1, 0.5, 1.0]) ** 0.5 / 5**0.5
    assert found["se_new_problems"][0] == pytest.approx(new, rel=1e-12)


@pytest.mark.parametrize("k", [0, -1, 1.0, 1.5, True, None, "1", "a", [], [1, 0], [1, "2"], np.nan, 2.0**70])
def test_a_k_that_is_no_number_of_samples_is_refused(k):
    with pytest.raises(bl.InputError, match=r"^k: found .* whole number"):
        bl.pass_at_k(table([4], [1]), k=k)


@pytest.mark.parametrize("k", [1, np.int64(1), [1, 2], (1, 2), np.array([1, 2]), range(1, 3)])
def test_a_k_may_be_one_or_many(k):
    assert len(bl.pass_at_k(table([4], [1]), k=k)) == np.size(k)
