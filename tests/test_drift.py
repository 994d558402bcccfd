"""Drift over nested windows: the statistic's distribution, what counts as resolved, spans in words."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from conftest import noiseless

import bayeslaw as bl
from bayeslaw.data.windows import trailing_windows
from bayeslaw.studies.stability.drift import drift, span, threshold

ORDERS = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])


def test_the_statistic_stays_under_its_limit_as_often_as_it_says():
    """Means of normal data with known noise, nested windows: their drift is what the limit expects."""
    rng = np.random.default_rng(0)
    sizes, worlds = np.array([5, 10, 20, 30, 40]), 4000
    y = rng.standard_normal((worlds, 40))
    means = np.stack([y[:, :n].mean(axis=1) for n in sizes], axis=1)
    resolved = np.ones(5, dtype=bool)
    paths = [drift(m, 1 / sizes, np.zeros(5), resolved) for m in means]
    limit = threshold(paths[0][1][:, None], np.eye(1))
    worst = np.array([np.nanmax(statistic) for statistic, _ in paths])
    assert (worst < limit).mean() == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / worlds) + 0.003)


def test_more_parameters_have_a_higher_limit_unless_they_are_one():
    clock = np.linspace(0.1, 1, 6)
    two = np.stack([clock, clock], axis=1)
    one = threshold(clock[:, None], np.eye(1))
    assert threshold(two, np.eye(2)) > one + 0.1
    assert threshold(two, np.ones((2, 2))) == pytest.approx(one, abs=0.05)
    assert np.isnan(threshold(np.full((6, 1), np.nan), np.eye(1)))


def test_the_top_is_the_shortest_resolved_window():
    mean, variance = np.array([9.0, 1.0, 1.0, 1.5]), np.array([25.0, 1.0, 0.5, 0.75])
    statistic, clock = drift(mean, variance, np.zeros(4), np.array([False, True, True, True]))
    assert np.isnan(statistic[:2]).all()
    assert statistic[2:] == pytest.approx([0, 0.5 / np.sqrt(0.25)])
    assert clock[2:] == pytest.approx([0.5, 0.5]), "a clock does not run back"
    assert np.isnan(drift(mean, variance, np.zeros(4), np.zeros(4, dtype=bool))[0]).all()


@pytest.mark.parametrize(
    ("resolved", "statistic", "orders", "verdict"),
    [
        ([0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], 3.0, "stable over ≥ 3.0 orders"),
        ([1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 9, 1], 2.0, "drifts at 2.5 orders"),
        ([1, 1, 1, 1, 1, 1], [0, 0, 9, 9, 9, 9], 1.0, "drifts at 1.5 orders"),
        ([0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1], np.nan, "not resolved below 2.0 orders"),
        ([0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], np.nan, "not resolved"),
    ],
)
def test_spans_in_words(resolved, statistic, orders, verdict):
    found = span(ORDERS, np.array(resolved, dtype=bool), np.array(statistic, dtype=float), 3.0)
    assert found.orders == pytest.approx(orders, nan_ok=True)
    assert found.verdict == verdict


def test_trailing_windows_end_at_the_target_and_are_nested():
    _, data = noiseless("compute")
    values = data["compute"].values
    windows = trailing_windows(data, "compute")
    assert len(windows[-1].seen) == len(values)
    for short, long in pairwise(windows):
        assert set(short.seen) <= set(long.seen)
        assert short.end > long.end
    ends = [np.log10(values.max() / w.end) for w in windows[:-1]]
    assert ends == pytest.approx(0.5 * np.arange(1, len(windows)))
    inner = trailing_windows(data, "compute", target=float(np.sort(values)[20]))
    assert len(inner[-1].seen) == 21
    with pytest.raises(bl.InputError, match="at least 3 are needed"):
        trailing_windows(data, "compute", target=float(values.min()))
    with pytest.raises(bl.InputError, match="column of positive numbers"):
        trailing_windows(data.assign(sign=("obs", -values)), "sign")
