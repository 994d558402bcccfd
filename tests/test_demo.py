"""The demo's pieces, and the page it writes; the demo itself is timed apart (it compiles two models)."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

import bayeslaw as bl
from bayeslaw import demo
from bayeslaw.core.numbers import show
from bayeslaw.observation.bound import bind
from bayeslaw.reports.elements import Picture, Section, Table
from bayeslaw.reports.page import render, write_page

SCRIPT = "<script>alert(1)</script>"


def test_a_hostile_name_is_escaped_everywhere(tmp_path):
    figure = Figure(figsize=(2, 2))
    figure.subplots().set(xlabel="x (1)")
    section = Section(
        SCRIPT,
        (SCRIPT,),
        (Table(pd.DataFrame({SCRIPT: [SCRIPT, 1.5]}, index=pd.Index([SCRIPT, "b"], name=SCRIPT)), SCRIPT),),
        (Picture(figure, f'"{SCRIPT}', SCRIPT),),
        (bl.Check(SCRIPT, "warn", 1.0, SCRIPT),),
    )
    html = write_page(tmp_path / "page.html", SCRIPT, [section, section]).read_text(encoding="utf-8")
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 18
    assert 'alt="&#34;' in html


def test_the_page_needs_nothing_else():
    html = render("title", [Section("one", figures=(Picture(Figure(figsize=(1, 1)), "nothing"),))])
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", html)
    assert "url(" not in html
    assert "@import" not in html
    assert 'name="viewport"' in html
    assert "@media print" in html


def test_checks_are_shown_gravest_first():
    checks = (bl.Check("a", "ok", 0.0, "fine"), bl.Check("b", "fail", 0.0, "bad"))
    html = render("t", [Section("s", checks=checks)])
    assert html.index('class="level fail"') < html.index('class="level ok"')


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2.57341, "2.573"), (0.99891, "0.9989"), (11523.4, "11523"), (0.6, "0.6000"), (1e24, "1e24"),
        (2.5e-7, "2.5e-7"), (0.0, "0"), (float("nan"), "–"), (3, "3"), ("x", "x"), (np.bool_(True), "yes"), (-2.5, "-2.500"),
    ],
)  # fmt: skip
def test_sensible_digits(value, shown):
    assert show(value) == shown


def test_the_index_is_shown_unless_it_counts():
    named = render(
        "t",
        [Section("s", tables=(Table(pd.DataFrame({"a": [1.0]}, index=pd.Index(["L0"], name="parameter"))),))],
    )
    assert ">parameter<" in named
    assert ">L0<" in named
    assert ">index<" not in render("t", [Section("s", tables=(Table(pd.DataFrame({"a": [1.0]})),))])


def test_simulated_counts_follow_the_known_law():
    counts = demo.simulated_counts()
    assert counts.equals(demo.simulated_counts())
    assert len(counts) == len(demo.LADDER) * demo.PROBLEMS
    table = bl.pass_at_k(counts, 1)
    error = np.log(-np.log(table["pass_at_k"]) / demo.true_law(demo.LADDER))
    assert np.abs(error).max() < 4 * demo.RUN_NOISE
    assert abs(error.mean()) < 3 * demo.RUN_NOISE / np.sqrt(len(error))


def _fits(published: float):
    """A posterior around L0 = 2.58 and a point fit at `published`, as far as the verdict looks at them."""
    spec = bl.load_model("annealing")
    data = bl.read_curves(demo.CURVES, spec, demo.SCHEDULES)
    spec = bl.resolve(spec, data)
    rng = np.random.default_rng(0)
    natural = {
        "L0": 2.58 + 0.005 * rng.standard_normal((2, 500)),
        "A": 0.478,
        "alpha": 0.484,
        "C": 0.457,
        "lam": 0.9989,
    }
    values = {
        **bl.to_sampling(spec, natural),
        **natural,
        "discrepancy_scale": 6e-4,
        "discrepancy_length": 0.2,
    }
    draws = xr.Dataset({n: (("chain", "draw"), np.broadcast_to(v, (2, 500))) for n, v in values.items()})
    from bayeslaw.inference.fit import make_fit

    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 500), bool))})
    posterior = make_fit(bind(spec, data), "nuts", {}, {"posterior": draws, "sample_stats": stats})
    groups = {
        "point": xr.Dataset({"L0": published}),
        "bootstrap": xr.Dataset({"L0": ("resample", [published])}),
    }
    return posterior, make_fit(bind(spec, data), "map", {}, groups)


def test_the_verdict_says_what_the_numbers_say():
    ok = [bl.Check("rhat", "ok", 1.0, "")]
    away = " ".join(demo._verdict(*_fits(2.6278), ok, []))
    assert "does NOT hold" in away
    assert "2.6278" in away
    assert "passes every check" in away
    inside = " ".join(demo._verdict(*_fits(2.5801), ok, []))
    assert "holds the published point fit's 2.5801" in inside
    failed = " ".join(demo._verdict(*_fits(2.6278), [bl.Check("rhat", "fail", 2.0, "")], []))
    assert "FAILS" in failed
    assert "passes" not in failed


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    path = tmp_path / "taken"
    path.write_text("mine")
    with pytest.raises(bl.InputError, match="is a file"):
        demo.run(path, print)
    assert path.read_text() == "mine"


@pytest.mark.slow
def test_the_demo_writes_its_folder_twice(tmp_path):
    lines: list[str] = []
    for _ in range(2):
        page = demo.run(tmp_path / "demo", lines.append)
    html = page.read_text(encoding="utf-8")
    assert "holds the published" in " ".join(html.split())
    assert "SIMULATED" in html
    assert str(page) in lines[-1]
    for name in ("annealing.nc", "annealing-point.nc", "simulated-ladder.nc"):
        assert bl.load_fit(tmp_path / "demo" / name).spec
    assert len(list((tmp_path / "demo").glob("*.png"))) == 9
