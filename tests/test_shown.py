"""How a fit shows itself: the median first, ten lines, and HTML that escapes what it is given."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from conftest import TRUTHS, handmade

import bayeslaw as bl
from bayeslaw.reports import shown, shown_lines, sparks
from bayeslaw.reports.terminal.fits import summary_text

SCRIPT = "<script>alert(1)</script>"
SCORES = xr.Dataset({"log_score_joint": (("law", "window"), np.zeros((2, 3)))}, {"law": ["a", "b"]})
MOST_BYTES = 60_000


@pytest.fixture(scope="module")
def compute():
    return handmade("compute")


@pytest.fixture(scope="module")
def point(compute):
    return bl.fit(compute.spec, compute.data, "map", bootstrap=30, progress=False)


@pytest.fixture(scope="module")
def mixture(compute):
    return bl.Mixture(
        {"a": compute, f"b{SCRIPT}": handmade("compute")}, {"a": 0.7, f"b{SCRIPT}": 0.3}, SCORES
    )


# ---- the summary


def test_the_median_comes_first(compute, point):
    located = ["median", "lower", "upper", "mean", "sd"]
    table = bl.summary(compute)
    assert list(table) == [*located, "rhat", "ess_bulk", "ess_tail", "unit", "meaning"]
    assert table.loc["C0", "median"] == np.median(compute.draws["C0"])
    assert list(bl.summary(point)) == ["point", *located, "unit", "meaning"]


@pytest.mark.parametrize(("prob", "said"), [(0.9, "median, central 90 %"), (0.5, "median, central 50 %")])
def test_its_text_says_its_probability(compute, point, prob, said):
    assert said in summary_text(bl.summary(compute, prob)).splitlines()[0]
    assert summary_text(bl.summary(point, prob)).startswith("parameters: point, bootstrap's median")


def test_a_probability_that_is_none_is_refused(compute):
    with pytest.raises(bl.InputError, match="prob: found 90"):
        bl.summary(compute, 90)


# ---- ten lines


@pytest.mark.parametrize("name", list(TRUTHS))
def test_ten_lines_say_what_it_is(name):
    fit = handmade(name)
    lines = repr(fit).splitlines()
    assert len(lines) <= shown_lines.MOST_LINES and max(map(len, lines)) <= 110
    told = "\n".join(lines)
    assert fit.spec.title in told and fit.spec.law.text[:60] in told and "40 rows" in told
    assert "NUTS" in told and "draws 150" in told and "90 % interval" in told
    for parameter in TRUTHS[name]:
        assert re.search(rf"^  {parameter} +[\d.e]+ \[", told, re.MULTILINE)
    assert lines[-1].startswith("  checks: fail (") and "ess-bulk" in lines[-1]  # 300 draws are too few


def test_more_parameters_than_lines_are_counted(monkeypatch):
    monkeypatch.setattr(shown_lines, "MOST_LINES", 8)
    lines = repr(handmade("broken-power")).splitlines()
    assert len(lines) == 8 and "  and 3 more parameters: bl.summary(fit)" in lines


def test_a_point_fit_shows_its_point(point):
    lines = repr(point).splitlines()
    assert "point fit, bootstrap 30, seed 0" in lines[2]
    assert f"{float(point.tree['point']['alpha']):.4f} [" in "\n".join(lines)
    bare = bl.fit(point.spec, point.data, "map", bootstrap=0, progress=False)
    assert "[" not in repr(bare) and f"{float(bare.tree['point']['alpha']):.4f}" in repr(bare)


def test_a_mixture_shows_its_weights(mixture):
    lines = repr(mixture).splitlines()
    assert len(lines) <= shown_lines.MOST_LINES and "0.700  a: " in lines[2]
    assert "ess-bulk" in lines[-1] and "weights" in lines[-1]


def test_what_takes_seconds_is_left_out_and_said(compute, monkeypatch):
    """A discrepancy's checks grow with the cube of the rows; a repr is what a debugger asks for."""
    monkeypatch.setattr(shown_lines, "MOST_ROWS", 39)
    monkeypatch.setattr(shown_lines, "checks", lambda fit: pytest.fail("all checks were made"))
    assert "bl.checks(fit): fail" not in repr(compute)
    assert "checks of data and sampler (all, which takes time: bl.checks(fit)): fail (" in repr(compute)
    assert compute._repr_html_().count("<img ") == 1


def without(fit, group):
    tree = fit.tree.copy()
    del tree[group]
    return bl.Fit(fit.spec, tree)


DAMAGED = {
    "nothing": lambda fit: bl.Fit(None, None),
    "an empty tree": lambda fit: bl.Fit(fit.spec, xr.DataTree()),
    "no posterior": lambda fit: without(fit, "posterior"),
    "no statistics": lambda fit: without(fit, "sample_stats"),
    "no rows": lambda fit: without(fit, "observed_data"),
    "no law": lambda fit: bl.Fit(None, fit.tree),
    "another's law": lambda fit: bl.Fit(bl.load_model("power"), fit.tree),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_fit_is_shown_all_the_same(compute, kind):
    damaged = DAMAGED[kind](compute)
    assert 0 < len(repr(damaged).splitlines()) <= shown_lines.MOST_LINES
    assert damaged._repr_html_() is None or "<div" in damaged._repr_html_()


def test_a_broken_renderer_breaks_no_repr(compute, mixture, monkeypatch):
    monkeypatch.setitem(sys.modules, "bayeslaw.reports.shown", SimpleNamespace())
    assert repr(compute).startswith("<bayeslaw.inference.fit.Fit object") and compute._repr_html_() is None
    assert repr(mixture).startswith("<bayeslaw.forecasts.mixture.Mixture object")


def test_text_needs_no_figures():
    """What `shown` imports as it loads draws nothing: Matplotlib waits for a notebook."""
    files = (Path(module.__file__).read_text(encoding="utf-8") for module in (shown, shown_lines, sparks))
    nodes = [node for file in files for node in ast.parse(file).body]
    loaded = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert "bayeslaw.reports.page" in loaded
    assert not {name for name in loaded if re.search(r"matplotlib|plots|panels|axes", name)}


# ---- notebooks


@pytest.mark.parametrize("name", ["power", "chinchilla", "annealing"])
def test_a_notebook_gets_table_checks_and_figure(name):
    html = handmade(name)._repr_html_()
    assert len(html.encode()) < MOST_BYTES
    assert html.count("<img ") == 1 and 'src="data:image/png;base64,' in html
    assert re.search(r"parameter</th><th[^>]*>median</th><th[^>]*>lower</th>", html)
    levels = re.findall(r'class="level (\w+)"', html)
    assert levels == sorted(levels, key=["fail", "warn", "note"].index) and "fail" in levels
    assert not re.search(r"<link|<script|url\(|https?://(?!arxiv)", html)


def test_all_text_is_escaped(compute, mixture):
    alpha = replace(compute.spec.parameters["alpha"], meaning=SCRIPT, unit=SCRIPT)
    parameters = {**compute.spec.parameters, "alpha": alpha}
    spec = replace(compute.spec, title=SCRIPT, name=SCRIPT, parameters=parameters)
    fit = bl.Fit(spec, compute.tree)
    for page in (fit._repr_html_(), mixture._repr_html_()):
        assert "<script" not in page and "&lt;script&gt;" in page
        assert len(page.encode()) < MOST_BYTES and page.count("<img ") == 1
    assert fit._repr_html_().count("&lt;script&gt;") == 4  # name, title, unit, meaning
    assert len(repr(fit).splitlines()) <= shown_lines.MOST_LINES


def test_a_title_of_many_lines_is_one_line(compute):
    fit = bl.Fit(replace(compute.spec, title="a\nb\n" * 30), compute.tree)
    assert len(repr(fit).splitlines()) <= shown_lines.MOST_LINES
