"""Reports: every shipped law renders, nothing is fetched, hostile names stay text, and shares add up."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import TRUTHS, handmade, noiseless
from matplotlib.figure import Figure

import bayeslaw as bl
from bayeslaw.cli.main import main
from bayeslaw.core.check import Check, to_json
from bayeslaw.core.numbers import interval_ends, show
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.forecasts.variance import split
from bayeslaw.inference.fit import make_fit
from bayeslaw.observation.bound import bind
from bayeslaw.reports import cases
from bayeslaw.reports.ahead import Ahead
from bayeslaw.reports.decision import decisions
from bayeslaw.reports.default_targets import default_targets
from bayeslaw.reports.page import linked
from bayeslaw.reports.sections import order
from bayeslaw.reports.verdict import failed, verdict_status

SCRIPT = "<script>alert(1)</script>"
SECTIONS = ("Forecast", "Can it be trusted?", "Data", "Priors", "Fits", "Checks", "Residuals", "Stability", "Comparison",
            "Back-test", "Sensitivity to the priors", "Where the uncertainty comes from", "Reproduce")  # fmt: skip
STUDIES = ("Stability", "Comparison", "Back-test")
OF_POSTERIORS = ("Priors", "Sensitivity to the priors")
WSD = "wsd(peak=2e-4, end=0, warmup=500, stable=16000, total=20000, hold=true)"
MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def compute():
    return handmade("compute")


@pytest.fixture
def no_point(monkeypatch):
    """Leave the point fits out: those of eight laws take longer than all the rest."""

    def refuse(*_, **__):
        raise bl.InputError(f"no start {SCRIPT}")

    monkeypatch.setattr(cases, "fit_again", refuse)


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def check_page(path, absent=STUDIES) -> str:
    """Check what holds for every report, and return it; `absent` sections have nothing to say and are left out."""
    html = path.read_text(encoding="utf-8")
    assert path.stat().st_size < MOST_BYTES
    assert html.startswith("<!doctype html>") and '<html lang="en">' in html and "<title>Report" in html
    assert re.findall(r"<h2>([^<]*)</h2>", html) == [name for name in SECTIONS if name not in absent]
    assert not re.search("not computed|one law only|no forecast to split|has no priors", html, re.IGNORECASE)
    assert re.search(r"\n  pre \{[^}]*white-space: pre-wrap; overflow-wrap: anywhere;", html)
    loads = re.findall(r"""(?:src|href|srcset|action)\s*=\s*["']([^"']*)""", html)
    assert all(
        re.match(r"data:image/png;base64,|#s\d+$|https://arxiv\.org/abs/[\d.]+$", url) for url in loads
    )
    assert not re.findall(r"""(?:src|srcset)=["'](?!data:)""", html)
    assert "url(" not in html and "@import" not in html and "<script" not in html and "<link" not in html
    assert all(alt for alt in re.findall(r'<img [^>]*alt="([^"]*)"', html))
    return html


# ---- the page


@pytest.mark.parametrize("name", list(TRUTHS))
def test_every_shipped_law_renders(name, no_point, tmp_path):
    assert set(TRUTHS) == set(bl.models()["name"])
    html = check_page(bl.report(handmade(name), tmp_path / "report.html"))
    assert "nine times in ten between" in html
    assert "No point fit beside" in html
    assert html.count("<img ") == 2


def test_several_laws_a_point_fit_and_a_mixture(compute, tmp_path):
    names = [f"{SCRIPT}{i}" for i in range(compute.data.sizes["obs"])]
    data = compute.data.assign_coords(model=("obs", np.array(names, dtype=object)))
    spec = bl.change(compute.spec, discrepancy=None)
    hostile = handmade("compute", spec, data)
    point = bl.fit(compute.spec, data, "map", bootstrap=30, progress=False)
    scores = xr.Dataset({"log_score_joint": (("law", "window"), np.zeros((2, 3)))}, {"law": ["a", "b"]})
    mixture = Mixture({"a": compute, "b": hostile}, {"a": 0.7, "b": 0.3}, scores)
    path = bl.report([mixture, point], tmp_path / "report.html", targets={"C": [1e24, 1e25]}, prob=0.8)
    html = check_page(path)
    assert html.count("&lt;script&gt;") >= 3
    text = text_of(html)
    for name in ("mixture", "a", "b", "compute"):
        assert f"{name} C = 1e24 FLOP" in text
    assert "four times in five" in text and "law choice (%)" in text
    assert html.count('class="headline"') == 4  # its laws stand in the table
    assert "mixture decides nothing yet: a check failed (laws)" in text  # of 300 draws each


def test_the_verdict_says_what_the_numbers_say(compute, tmp_path):
    fc = bl.forecast(compute, {"C": [1e24]}).sel(kind="run").isel(target=0)
    text = text_of(check_page(bl.report([compute], tmp_path / "report.html", targets={"C": [1e24]})))
    low, middle, high = (f"{100 * np.exp(-float(fc[n])):#.3g} %" for n in ("upper", "median", "lower"))
    assert f"pass@k at C = 1e24 FLOP {middle} nine times in ten between {low} and {high}" in text
    assert f"{float(fc['orders_beyond']):.2g} orders of magnitude" in text
    assert "Do not use compute yet: the sampler failed a check" in text  # 300 draws are too few
    assert "alpha (exponent of compute): nine times in ten between 0.03 and 1; the data say 0.12" in text
    assert f"SHA-256 of the rows: {compute.tree.attrs['data_hash']}" in text
    assert "bayeslaw fit compute-frozen.toml TABLE -o fit.nc --method nuts" in text
    assert "--at C=1e+24" in text and "targets={&#39;C&#39;: [1e+24]}" in text
    for check in bl.checks(compute):
        assert " ".join(str(linked(check.message)).split()) in text


def test_the_frozen_model_file_is_there(compute, tmp_path):
    import html as entities

    page = check_page(bl.report(compute, tmp_path / "report.html"))
    frozen = entities.unescape(re.search(r"<details>.*?<pre>(.*?)</pre>", page, re.DOTALL)[1])
    (tmp_path / "frozen.toml").write_text(frozen)
    assert bl.load_model(str(tmp_path / "frozen.toml")).to_toml() == compute.spec.to_toml()


def test_the_point_fit_stands_beside(compute, tmp_path):
    text = text_of(check_page(bl.report(compute, tmp_path / "report.html", targets={"C": [1e24]})))
    point = bl.fit(compute.spec, compute.data, "map", bootstrap=cases.BOOTSTRAP, progress=False)
    fc = bl.forecast(point, {"C": [1e24]}).sel(kind="run").isel(target=0)
    assert f"{float(fc['median']):.3f} {float(fc['lower']):.3f} {float(fc['upper']):.3f}" in text
    assert f"{float(point.tree['point']['alpha']):.4f}" in text


def test_curves_along_a_schedule_and_along_their_own(no_point, tmp_path):
    fit = handmade("annealing")
    own = text_of(check_page(bl.report(fit, tmp_path / "own.html")))
    assert "step 20000 of run cosine_20000&#39;s schedule" in own
    assert "No schedule was asked for" in own
    asked = text_of(check_page(bl.report(fit, tmp_path / "asked.html", schedule=WSD)))
    assert "loss at step 20000 of wsd(peak=2e-4" in asked
    assert "No schedule was asked for" not in asked


def test_a_name_that_is_no_formula(no_point, tmp_path):
    fit = handmade("annealing")
    names = {"cosine_20000": r"$\frac$", "constant_20000": "a$b"}
    runs = np.array([names[str(r)] for r in fit.data["run"].values], dtype=object)
    data = fit.data.assign_coords(run=("obs", runs))
    page = bl.report(handmade("annealing", data=data), tmp_path / "report.html")
    text = text_of(check_page(page, (*STUDIES, "Where the uncertainty comes from")))
    assert r"$\frac$, a$b" in text


def test_names_are_unique_and_kept(compute, no_point, tmp_path):
    other = handmade("compute")
    found = cases.make_cases([compute, other], {"C": [1e24]}, None, 0.9)
    assert [c.name for c in found] == ["compute, posterior 1", "compute, posterior 2"]
    found = cases.make_cases({SCRIPT: compute, "b": other}, {"C": [1e24]}, None, 0.9)
    assert [c.name for c in found] == [SCRIPT, "b"]
    check_page(bl.report({SCRIPT: compute}, tmp_path / "report.html"))


def test_studies_are_shown(compute, no_point, tmp_path, monkeypatch):
    drawn = []

    def plot_stability(st):
        drawn.append(st)
        return Figure(figsize=(2, 2))

    spans = pd.DataFrame({"orders": [1.5]}, index=pd.Index(["alpha"], name="parameter"))
    monkeypatch.setattr("bayeslaw.plots.stability.plot_stability", plot_stability)
    monkeypatch.setattr("bayeslaw.studies.stability.study.stable_spans", lambda st: spans)
    table = pd.DataFrame({"elpd_loo": [1.0, 2.0]}, index=pd.Index([SCRIPT, "b"], name="law"))
    table.attrs = {
        "units": {"elpd_loo": "nat"},
        "verdict": "b is best",
        "checks": [bl.Check("k", "warn", 1.0, SCRIPT)],
    }
    bt = backtest(compute)
    studies = {
        "stability": {
            SCRIPT: xr.Dataset(
                coords={"window": ["all"], "parameter": ["alpha"]},
                attrs={"along": "compute", "law_verdict": "stable"},
            )
        },
        "comparison": table,
        "backtest": bt,
    }
    html = check_page(bl.report(compute, tmp_path / "report.html", **studies), absent=())
    text = text_of(html)
    assert len(drawn) == 1 and html.count("<img ") == 5
    assert "elpd loo (nat)" in text and "b is best" in text
    assert "targets inside 90 % (share)" in text and "A report also takes" not in text
    low, high = (bt[f"target_{end}"].sel(level=0.9).values[0] for end in ("lower", "upper"))
    for i, truth in enumerate(bt["target_observed"].values):
        middle, inside = bt["target_median"].values[0, i], low[i] <= truth <= high[i]
        told = f"{show(truth)} {show(middle)} [{show(low[i])}, {show(high[i])}] {'yes' if inside else 'no'}"
        assert told in text
    assert html.count("&lt;script&gt;") >= 4


def backtest(fit) -> xr.Dataset:
    """A real back-test, of the point fit alone: one window, nothing to compile."""
    settings = {"windows": [2e20, 1e21], "methods": ["point"], "bootstrap": 20, "progress": False}
    return bl.backtest(fit.spec, fit.data, "compute", **settings)


# ---- the decision


def told(*ends, name="power", found=()):
    """A case whose runs land at these medians, lower and upper ends."""
    fit = handmade(name)
    symbol = "C" if name == "compute" else "x"
    fc = bl.forecast(fit, {symbol: [10.0 ** (7 + i) for i in range(len(ends))]})
    for i, values in enumerate(ends):
        for what, value in zip(("median", "lower", "upper"), values, strict=True):
            fc[what].loc[{"kind": "run", "target": i}] = value
    fc.attrs["checks"] = "[]"
    return cases.Case(name, fit, tuple(found), ahead=(Ahead({"targets": {}}, fc),))


DECISIONS = [
    ([(2.3, 2.0, 2.9)], "This fit cannot tell 2.0 from 2.9 at x = 1e7: the 90 % interval of a run is 39 % of the value."),
    ([(2.0, 1.96, 2.05)], "This fit knows the run at x = 1e7 to ± 2.5 %, within the 4 % that a decision between recipes needs: 1.96 to 2.05 is"),
    ([(3.0, 2.99, 3.15)], "This fit cannot tell 2.99 from 3.15 at x = 1e7: the 90 % interval of a run is 5.3 % of the value."),
    ([(2.0, 1.9, 2.1), (2.2, 2.1, 2.3)], "Their two intervals touch at 2.1"),
    ([(1.0, 0.5, 3.5)], "the 90 % interval of a run is 3.0 times the value."),
    ([(0.0, -1.0, 1.0)], "This fit cannot tell -1.0 from 1.0 at x = 1e7: the 90 % interval of a run holds zero."),
    ([(np.inf, 2.0, np.inf)], "This fit says nothing at x = 1e7: the 90 % interval of a run is not finite."),
    ([(2.0, 1.9, 2.1), (3.0, 2.9, 3.1)], "Their two intervals do not overlap: these runs are told apart."),
    ([(2.0, 1.9, 2.5), (2.2, 2.1, 2.7)], "Their two intervals overlap, from 2.10 to 2.50: by them alone the runs are not told apart"),
    ([(2, 1.9, 2.5), (2.2, 2.1, 2.7), (9, 8, 10)], "Of the 3 intervals these overlap: x = 1e7 with x = 1e8 ("),
    ([(2, 1.9, 2.5), (5, 4, 6), (9, 8, 10)], "No two of the 3 intervals overlap: these runs are told apart."),
    ([(2, 1, 3)] * 4, "All 6 pairs of intervals overlap"),
    ([(2, 1.99, 2.01), (3, 2, 4), (4, 1, 5), (9, 8, 10)], "This fit knows 1 of 4 targets to ± 4 % or better. This fit knows the run at x = 1e7 to ± 0.5 %"),
]  # fmt: skip


@pytest.mark.parametrize(("ends", "said"), DECISIONS)
def test_what_a_forecast_decides_is_said(ends, said):
    assert said in " ".join(decisions([told(*ends)]))


def test_a_sure_forecast_that_warns_says_so():
    warned = [Check("residual-correlation", "warn", 0.9, "…")]
    last = "What warns below may change that."
    assert decisions([told((2.0, 1.95, 2.05), found=warned)])[-1] == last
    assert last not in decisions([told((2.0, 1.95, 2.05))]) + decisions([told((2, 1, 3), found=warned)])


def test_shares_are_decided_as_shares():
    ends = -np.log([0.02, 0.05, 0.01])  # pass@k of 2 % [1 %, 5 %]
    (said,) = decisions([told(ends, name="compute")])
    assert said.startswith("This fit cannot tell a pass@k of 1.0 % from 5.0 % at C = 1e7 FLOP")
    assert said.endswith("2.0 times the value.")
    (said,) = decisions([told(-np.log([0.99, 0.999, 0.98]), name="compute")])
    assert "to ± 1 %" in said and said.endswith("interval of a run; 0.10 to 2.0 % fail.")


def test_the_verdict_does_not_hang_on_the_interval_that_is_shown():
    fit, asked = handmade("power"), {"targets": {"x": [1e7]}}
    shown = [Ahead(asked, bl.forecast(fit, prob=p, **asked)) for p in (0.9, 0.5, 0.99)]
    assert len({*(decisions([cases.Case("power", fit, ahead=(one,))])[0] for one in shown)}) == 1


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (2.03, 2.87, ("2.0", "2.9")),
        (1.951, 2.042, ("1.95", "2.04")),
        (0.386, 5.52, ("0.39", "5.5")),
        (1234.0, 2345.0, ("1200", "2300")),
        (999.6, 1000.4, ("999.6", "1000.4")),
        (1e-7, 3e-7, ("1e-7", "3e-7")),
        (2.0, 2.0, ("2.0", "2.0")),
        (0.0, 0.5, ("0", "0.50")),
    ],
)
def test_ends_have_digits_enough_to_show_the_width(low, high, shown):
    assert interval_ends(low, high) == shown


FAILED = {
    "the sampler failed a check (power: ess-bulk)": ["ess-bulk"],
    "a check failed (power: few-inputs)": ["few-inputs"],
    "checks failed (power: few-inputs, forecast)": ["few-inputs", "forecast"],
    "the sampler failed a check, and so did the fit itself (power: rhat, few-inputs)": ["rhat", "few-inputs"],
}


@pytest.mark.parametrize("words", FAILED)
def test_whose_check_failed_is_said(words):
    case = told((2.3, 2.0, 2.9), found=[Check(n, "fail", 1.0, "…") for n in FAILED[words]])
    assert failed(case) and verdict_status([case]) == ("fail", f"Do not use power yet: {words}.")
    (said,) = decisions([case])
    assert said == f"This fit decides nothing yet: {words.replace('power: ', '')}."


def test_a_failed_check_that_is_not_the_samplers_is_not_called_so(compute, tmp_path):
    data = compute.data.assign_attrs(checks=to_json([Check("few-inputs", "fail", 1.0, "one input.")]))
    point = bl.fit(compute.spec, data, "map", bootstrap=20, progress=False)
    text = text_of(check_page(bl.report(point, tmp_path / "r.html"), (*STUDIES, *OF_POSTERIORS)))
    assert "Do not use compute yet: a check failed (compute: few-inputs)." in text
    assert "a check failed (few-inputs): do not use this number yet" in text
    assert "the sampler failed" not in text


def test_the_forecast_stands_once_at_the_top(compute, no_point, tmp_path):
    html = check_page(bl.report(compute, tmp_path / "report.html", targets={"C": [1e23, 1e24]}))
    top, rest = html.split("<h2>Can it be trusted?</h2>")
    assert top.count('class="headline"') == 2 and top.count("<img ") == 1 and top.count("<table>") == 1
    assert (
        top.index('class="headline"') < top.index('class="lead"') < top.index("<table>") < top.index("<img ")
    )
    assert "Where a run lands" not in rest and 'class="headline"' not in rest
    assert 'class="status fail"' in rest.split("<h2>")[0]
    assert "A report also takes" in text_of(rest) and "--compare" not in text_of(rest)


# ---- bad input


def test_nothing_is_left_behind_when_writing_fails(compute, no_point, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    for path, message in (("folder", "cannot be written"), ("missing/report.html", "folder that exists")):
        with pytest.raises(bl.InputError, match=message):
            bl.report(compute, tmp_path / path)

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("bayeslaw.core.files.os.replace", full)
    with pytest.raises(bl.InputError, match="no space left"):
        bl.report(compute, tmp_path / "report.html")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_bad_input(compute, no_point, tmp_path):
    page = tmp_path / "report.html"
    asked = {
        "one fit or more": lambda: bl.report([], page),
        "found 'fit.nc'": lambda: bl.report("fit.nc", page),
        "found 3": lambda: bl.report([compute, 3], page),
        "prob:": lambda: bl.report(compute, page, prob=90),
        "report, fit 'compute': targets: unknown input 'N'": lambda: bl.report(
            compute, page, targets={"N": 1e9}
        ),
        "schedule given": lambda: bl.report(compute, page, schedule=WSD),
        "stability: found 3": lambda: bl.report(compute, page, stability=3),
        "comparison": lambda: bl.report(compute, page, comparison="best"),
    }
    for message, call in asked.items():
        with pytest.raises(bl.InputError, match=message):
            call()
    assert not list(tmp_path.iterdir())


def test_no_bootstrap_no_forecast(compute, tmp_path):
    point = bl.fit(compute.spec, compute.data, "map", bootstrap=0, progress=False)
    absent = (*STUDIES, *OF_POSTERIORS, "Where the uncertainty comes from")
    html = check_page(bl.report(point, tmp_path / "report.html"), absent)
    text = text_of(html)
    assert "No forecast by compute: This point fit has no bootstrap" in text
    assert html.count("<img ") == 2  # among its rows, and its residuals


def test_the_command_line(compute, tmp_path):
    call = CliRunner().invoke
    fit, page = compute.save(tmp_path / "fit.nc"), tmp_path / "report.html"
    point = bl.fit(compute.spec, compute.data, "map", bootstrap=20, progress=False).save(
        tmp_path / "point.nc"
    )
    done = call(main, ["report", str(fit), str(point), "-o", str(page), "--at", "C=1e24"])
    assert done.exit_code == 1 and f"[fail] {fit}" in done.output
    assert check_page(page)
    page.unlink()
    done = call(main, ["report", str(point), "-o", str(page), "--at", "params=1e11", "--at", "tokens=1e13"])
    assert done.exit_code == 0, done.output
    assert check_page(page, (*STUDIES, *OF_POSTERIORS))
    page.unlink()
    for more, message in (
        (["--at", "C=much"], "expected a number"),
        (["--stability", "nothing.nc"], "no such file"),
        (["--compare"], "two fits or more"),
    ):
        done = call(main, ["report", str(point), "-o", str(page), *more])
        assert done.exit_code == 2 and message in done.output
    assert not page.exists()


# ---- where it is forecast


def test_default_targets_lie_one_order_beyond():
    assert default_targets(handmade("compute"))["compute"] == [
        pytest.approx(10 * float(noiseless("compute")[1]["compute"].max()), rel=0.01)
    ]
    chinchilla = handmade("chinchilla")
    target = default_targets(chinchilla)
    seen = (chinchilla.data["params"] * chinchilla.data["tokens"]).max()
    assert target["params"][0] * target["tokens"][0] == pytest.approx(10 * float(seen), rel=0.02)
    gold = handmade("gold-likelihood")
    assert default_targets(gold) == {"gold_nll": [pytest.approx(float(gold.data["gold_nll"].min()) / 10)]}


# ---- the split of the variance


def known_split(**noise):
    """A law whose value is normal on the log scale with sd 0.1, and run noise of a known size."""
    spec, data = noiseless("power")
    spec = bl.change(spec, likelihood={"family": "Normal"}, discrepancy=None)
    rng = np.random.default_rng(2)
    shape = (4, 25_000)
    draws = {"level": 2 * np.exp(0.1 * rng.standard_normal(shape)), "floor": 0.3, "alpha": 0.2, **noise}
    draws = xr.Dataset({n: (("chain", "draw"), np.broadcast_to(v, shape)) for n, v in draws.items()})
    return make_fit(bind(spec, data), "nuts", {}, {"posterior": draws})


def parts(table: pd.DataFrame, column: str = "share") -> dict[str, float]:
    return dict(zip(table["component"], table[column], strict=True))


def test_known_components_come_out():
    fit = known_split(sigma=0.2)
    mean = float(bl.forecast(fit, {"x": [1e7]})["median"].sel(kind="law").isel(target=0))
    found = split(fit, {"x": [1e7, 1e7], "sampling_error": [0.0, 0.15 * mean]})
    assert found.attrs["units"] == "log"
    plain, measured = (found[found["target"] == t] for t in (0, 1))
    # 0.1² + 0.2² = 0.05, and 0.15² = 0.0225 more
    assert parts(plain) == pytest.approx(
        {"parameters": 0.2, "run noise": 0.8, "evaluation noise": 0.0, "all": 1.0}, abs=0.01
    )
    assert parts(measured, "sd") == pytest.approx(
        {"parameters": 0.1, "run noise": 0.2, "evaluation noise": 0.15, "all": 0.0725**0.5}, rel=0.02
    )
    shares = {"parameters": 0.01, "run noise": 0.04, "evaluation noise": 0.0225}
    expected = {n: v / 0.0725 for n, v in shares.items()}
    assert parts(measured) == pytest.approx({**expected, "all": 1.0}, abs=0.01)


def test_a_mixture_splits_off_the_choice_of_law():
    low, high = known_split(sigma=0.2), known_split(sigma=0.2)
    tree = high.tree.copy(deep=True)
    tree["posterior"]["level"] = tree["posterior"]["level"] * np.exp(0.5)
    high = bl.Fit(high.spec, tree)
    scores = xr.Dataset({"log_score_joint": (("law", "window"), np.zeros((2, 3)))})
    mixture = Mixture({"low": low, "high": high}, {"low": 0.25, "high": 0.75}, scores)
    found = parts(split(mixture, {"x": [1e7]}))
    choice = 0.25 * 0.75 * 0.5**2
    assert found["law choice"] == pytest.approx(choice / (choice + 0.05), abs=0.01)
    assert found["law choice"] == pytest.approx(
        float(bl.forecast(mixture, {"x": [1e7]})["law_share"][2, 0]), abs=0.01
    )
    assert found["parameters"] == pytest.approx(0.01 / (choice + 0.05), abs=0.01)


@pytest.mark.parametrize("name", ["compute", "chinchilla", "annealing"])
def test_shares_add_up_to_one(name):
    asked = {"schedule": WSD} if name == "annealing" else {"targets": default_targets(handmade(name))}
    found = split(handmade(name), **asked)
    assert list(found["component"]) == ["parameters", "discrepancy", "run noise", "all"]
    assert found["share"][:-1].sum() == pytest.approx(1, abs=1e-9)
    if name == "annealing":  # a new run wanders on its own, whatever the law is
        own = parts(found, "sd")
        assert own["all"] ** 2 == pytest.approx(sum(own[n] ** 2 for n in list(own)[:-1]), rel=0.2)


def test_a_negative_share_makes_up_for_another(compute):
    """Known data pin the curve: the law and the discrepancy there are opposites."""
    inside = float(np.median(compute.data["compute"]))
    tree = compute.tree.copy(deep=True)
    level = tree["posterior"]["level"]
    tree["posterior"]["level"] = level * np.exp(0.3 * np.sin(np.arange(level.size)).reshape(level.shape))
    tree["posterior"]["sigma"] = 0 * level + 0.01
    tree["posterior"]["discrepancy_scale"] = 0 * level + 8
    own = split(bl.Fit(compute.spec, tree), {"C": [inside]})
    sd = parts(own, "sd")
    assert sd["parameters"] > 2 * sd["all"] and sd["discrepancy"] > 2 * sd["all"]
    assert sum(parts(own).values()) == pytest.approx(2)


def test_a_split_refuses_what_a_forecast_refuses(compute):
    with pytest.raises(bl.InputError, match="unknown input"):
        split(compute, {"N": [1e9]})
    point = bl.fit(compute.spec, compute.data, "map", bootstrap=0, progress=False)
    with pytest.raises(bl.InputError, match="no bootstrap"):
        split(point, {"C": [1e24]})


def test_a_section_is_a_file_and_a_row():
    """What makes a section is in the table of sections, and nothing else is."""
    folder = Path(order.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "order"}
    assert [make.__module__.split(".")[-1] for make in order.SECTIONS][:2] == ["forecast", "trust"]
    assert {make.__module__.split(".")[-1] for make in order.SECTIONS} == files and len(
        order.SECTIONS
    ) == len(files)
