"""Parameters pooled over benchmarks, difficulties, sizes: tables, targets, schedules, figures, reports."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import PUBLISHED_SCHEDULES, TRUTHS, shared
from malformed_inputs import equal
from malformed_inputs import graded as counts

import bayeslaw as bl
from bayeslaw.core.check import from_json
from bayeslaw.data.row_names import row_names
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.forecasts.membership import seen_groups
from bayeslaw.forecasts.variance import split
from bayeslaw.inference.fit import make_fit
from bayeslaw.inference.predictive import draw_prior, draw_replicated
from bayeslaw.inference.pymc_model import model_data
from bayeslaw.law.evaluate import derive
from bayeslaw.law.priors import draw_priors
from bayeslaw.observation.base import observed_rows
from bayeslaw.observation.bound import bind
from bayeslaw.observation.pooling import group_labels, row_groups, score_name, score_sizes
from bayeslaw.reports import cases
from bayeslaw.reports.commands import python_commands, shell_commands

TWO = ["benchmark", "difficulty"]
COMPUTE, ANNEALING = bl.load_model("compute"), bl.load_model("annealing")
PLAIN = bl.change(COMPUTE, discrepancy=None)
SHAPE = (2, 100)


def curves(spec: bl.Spec) -> xr.Dataset:
    """Loss curves of two sizes along the published schedules."""
    frame = pd.DataFrame([
        {"run": f"{size} {name}", "model_size": size, "step": step, "loss": loss + 5 / step**0.5}
        for size, loss in (("25M", 3.2), ("100M", 2.8)) for name in PUBLISHED_SCHEDULES for step in range(1000, 20001, 1000)
    ])  # fmt: skip
    schedules = {f"{s} {n}": text for s in ("25M", "100M") for n, text in PUBLISHED_SCHEDULES.items()}
    return bl.read_curves(frame, spec, schedules)


def handmade(spec: bl.Spec, data: xr.Dataset, deviations: dict[str, dict[str, list[float]]]) -> bl.Fit:
    """A posterior around the truth without sampling: of each pooled parameter its groups' deviations."""
    spec, rng = bl.resolve(bl.change(spec, likelihood={"outliers": False}), data), np.random.default_rng(1)
    natural = {n: v * np.exp(0.01 * rng.standard_normal(SHAPE)) for n, v in TRUTHS[spec.name].items()}
    if "lam" in natural:
        natural["lam"] = 1 - (1 - TRUTHS[spec.name]["lam"]) * np.exp(0.1 * rng.standard_normal(SHAPE))
    noise = {
        n: v.reshape(SHAPE) for n, v in draw_priors(spec, int(np.prod(SHAPE)), rng).items() if n in spec.noise
    }
    noise |= {f"{name}_spread": np.full(SHAPE, 0.2) for name in spec.pooled}
    draws = {**noise, **bl.to_sampling(spec, natural)}
    draws |= derive(spec, draws)
    labels = group_labels(spec, observed_rows(spec, data).columns)
    latent = {}
    for name, size in score_sizes(spec, labels).items():
        parameter = name.removesuffix("_score")
        own = np.array(
            [deviations[parameter]["".join(g.split("\x1f")[-1:])] for g in labels[spec.pooled[parameter]]]
        )
        scores = 0.01 * rng.standard_normal((*SHAPE, size))
        scores[..., : len(own)] += own / 0.2
        latent[name] = (("chain", "draw", f"{name}_dim"), scores)
    coords = {"chain": np.arange(2), "draw": np.arange(SHAPE[1])}
    posterior = xr.Dataset(
        {n: (("chain", "draw"), np.broadcast_to(v, SHAPE)) for n, v in draws.items()}, coords
    )
    stats = {"diverging": np.zeros(SHAPE, bool), "energy": rng.standard_normal(SHAPE)}
    groups = {
        "posterior": posterior,
        "latent": xr.Dataset(latent, coords),
        "sample_stats": xr.Dataset({n: (("chain", "draw"), v) for n, v in stats.items()}, coords),
    }
    bound = bind(spec, data)
    groups |= draw_prior(bound, rng) | draw_replicated(bound, groups, rng)
    settings = {"draws": SHAPE[1], "tune": 100, "chains": 2, "seed": 0, "target_accept": 0.9}
    return make_fit(bound, "nuts", settings, groups)


@pytest.fixture(scope="module")
def two():
    """Level by benchmark and difficulty: hard ones 0.4 above easy ones."""
    spec = bl.change(COMPUTE, pool={"level": TWO})
    return handmade(spec, bl.read_table(counts(), spec, k=1), {"level": {"easy": -0.2, "hard": 0.2}})


@pytest.fixture(scope="module")
def sizes():
    """Level by model size: 25M 0.14 above 100M."""
    spec = bl.change(ANNEALING, pool={"level": "model_size"})
    return handmade(spec, curves(spec), {"level": {"25M": 0.07, "100M": -0.07}})


# ---- tables


@pytest.mark.parametrize("family", ["StudentT", "Binomial"])
@pytest.mark.parametrize(
    ("pool", "rows"),
    [("difficulty", 12), ("benchmark", 12), (TWO, 24), (("difficulty", "benchmark"), 24), ("problem", 192)],
    ids=str,
)
def test_counts_are_aggregated_within_groups(family, pool, rows):
    spec = bl.change(COMPUTE, likelihood={"family": family}, pool={"level": pool})
    table = counts()
    if pool == "difficulty":
        table = table[table["benchmark"] == "GSM8K"]
    if pool == "problem":
        table = table.assign(benchmark="all")
    data = bl.read_table(table, spec)
    zero = table.groupby(["model", *spec.group_columns])["c"].sum().eq(0).sum()
    assert data.sizes["obs"] == rows - (zero if family == "StudentT" else 0)
    keys = ["model", *spec.group_columns]
    sums = table.groupby(keys)[["n", "c"]].sum()
    share = (sums["c"] / sums["n"])[sums["c"] > 0]
    frame = data.to_dataframe().set_index(keys)
    found = frame.loc[share.index, "c"] / frame.loc[share.index, "n"] if family == "Binomial" else frame.loc[share.index, "pass_at_k"]  # fmt: skip
    np.testing.assert_allclose(found, share)


def test_rows_of_one_model_are_told_apart():
    table = counts().assign(
        c=lambda t: np.where((t["model"] == "m0") & (t["difficulty"] == "hard"), 0, t["c"] + 1)
    )
    data = bl.read_table(table, bl.change(COMPUTE, pool={"level": TWO}))
    (check,) = from_json(data.attrs["checks"])
    assert check.message.endswith(": m0 (GSM8K, hard), m0 (MATH, hard).")
    assert row_names(data, np.array([0, 23 - 2])) == ["m0 (GSM8K, easy)", "m5 (MATH, hard)"]
    one = bl.read_table(table[table["benchmark"] == "MATH"], COMPUTE)
    assert row_names(one, np.array([0])) == ["m0"]


def test_levels_may_be_numbers_where_a_column_is_one_of_names():
    spec = bl.change(COMPUTE, pool={"level": "difficulty"})
    table = counts()[lambda t: t["benchmark"] == "MATH"].assign(
        difficulty=lambda t: 1 + (t["difficulty"] == "hard")
    )
    assert set(bl.read_table(table, spec)["difficulty"].values) == {"1", "2"}


BINOMIAL = bl.change(COMPUTE, likelihood={"family": "Binomial"})


def test_equal_n_is_summed_and_a_joined_column_names_groups():
    data = bl.read_table(equal(), BINOMIAL)
    assert data["n"].values.tolist() == [16 * 400.0] * 6
    families = pd.DataFrame({"model": [f"m{i}" for i in range(6)], "family": list("aabbcc")})
    spec = bl.change(BINOMIAL, pool={"level": "family"})
    assert set(bl.read_table(equal(), spec, join=families)["family"].values) == set("abc")
    with pytest.raises(bl.InputError, match=r"joined|family.*a label in every row"):
        bl.read_table(equal(), spec, join=families.assign(family=[None, *"abbcc"]))


def test_curves_name_their_groups():
    spec = bl.change(ANNEALING, pool={"level": "size"})
    with pytest.raises(bl.InputError, match="table of curves: no column 'size', over whose groups"):
        curves(spec)


# ---- laws


def test_a_law_keeps_its_columns(tmp_path):
    spec = bl.change(COMPUTE, pool={"level": tuple(TWO), "floor": "benchmark"})
    assert spec.pool_columns == {
        "benchmark\x1fdifficulty": ("benchmark", "difficulty"),
        "benchmark": ("benchmark",),
    }
    assert spec.group_columns == ("benchmark", "difficulty")
    assert (
        spec.noise["level_spread"].meaning
        == "spread of level between combinations of benchmark and difficulty"
    )
    (tmp_path / "mine.toml").write_text(spec.to_toml(), encoding="utf-8")
    assert bl.load_model(tmp_path / "mine.toml").pooled == spec.pooled


def test_combinations_are_groups_that_cannot_be_mistaken():
    spec = bl.change(COMPUTE, pool={"level": ["a", "b"]})
    columns = {"a": np.array(["x", "x, y", "x"]), "b": np.array(["y, z", "z", "y, z"])}
    (labels,) = group_labels(spec, columns).values()
    assert len(labels) == 2
    assert row_groups(spec, "a\x1fb", {"a": columns["a"]}) is None
    with pytest.raises(bl.InputError, match="pools 'level' over the column 'b', which the data lack"):
        group_labels(spec, {"a": columns["a"]})


def test_two_columns_are_as_one_that_joins_them():
    spec = bl.change(PLAIN, pool={"level": TWO})
    data = bl.read_table(counts(), spec)
    both = data.assign_coords(both=("obs", data["benchmark"].values + " " + data["difficulty"].values))
    ours = model_data(bind(spec, data))
    theirs = model_data(bind(bl.change(PLAIN, pool={"level": "both"}), both))
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name])


# ---- forecasts


def median(fc: xr.Dataset, kind: str = "curve") -> np.ndarray:
    return fc["median"].sel(kind=kind).values


def test_targets_name_their_group_by_every_column(two):
    fc = bl.forecast(two, {"C": [1e21] * 3, "benchmark": ["GSM8K", "GSM8K", "MATH"], "difficulty": ["easy", "hard", "easy"]})  # fmt: skip
    assert fc["difficulty"].values.tolist() == ["easy", "hard", "easy"]
    assert not [n for n in fc.variables if "\x1f" in str(n)]
    easy, hard, other = median(fc)
    assert np.log(hard / easy) == pytest.approx(0.4, abs=0.03)
    assert other == pytest.approx(easy, rel=0.03)
    assert median(fc, "law")[0] == median(fc, "law")[1]
    new = bl.forecast(two, {"C": [1e21]}, new_group=True)
    named = bl.forecast(two, {"C": [1e21], "benchmark": ["GPQA"], "difficulty": ["easy"]}, new_group=True)
    width = [
        np.log(f["upper"] / f["lower"]).sel(kind="curve").item() for f in (new, named, fc.isel(target=[0]))
    ]
    assert min(width[:2]) > 2 * width[2]


TARGETS = [
    ({"C": [1e21]}, {}, "targets: name a benchmark (GSM8K, MATH) and a difficulty (easy, hard), or ask for a new one with new_group=True"),
    ({"C": [1e21], "benchmark": ["MATH"]}, {}, "targets: name a difficulty (easy, hard), or ask"),
    ({"C": [1e21], "benchmark": ["MATH"]}, {"new_group": True}, "found benchmark without difficulty"),
    ({"C": [1e21], "benchmark": ["MTAH"], "difficulty": ["easy"]}, {}, "no benchmark 'MTAH' in the data; did you mean 'MATH'?"),
    ({"C": [1e21], "benchmark": ["MATH"], "dificulty": ["easy"]}, {}, "did you mean 'difficulty'?"),
    ({"C": [1e21]}, {"group": {"benchmark": "MATH"}}, "which goes with a schedule; targets name their group among themselves"),
]  # fmt: skip


@pytest.mark.parametrize(("targets", "options", "words"), TARGETS)
def test_targets_without_their_group_are_refused(two, targets, options, words):
    for ask in (bl.forecast, split):
        with pytest.raises(bl.InputError) as caught:
            ask(two, targets, **options)
        assert words in str(caught.value)


def test_a_combination_that_was_not_seen_is_refused(two):
    """Both labels are known, their combination is not."""
    seen = two.data["difficulty"].values != "hard"
    seen |= two.data["benchmark"].values != "MATH"
    some = handmade(bl.change(COMPUTE, pool={"level": TWO}), two.data.isel(obs=seen), {"level": {"easy": 0, "hard": 0}})  # fmt: skip
    with pytest.raises(
        bl.InputError, match="no row of the data has both benchmark 'MATH' and difficulty 'hard'; the groups"
    ):
        bl.forecast(some, {"C": [1e21], "benchmark": ["MATH"], "difficulty": ["hard"]})


SCHEDULE = "wsd(peak=2e-4, end=0, warmup=500, stable=16000, total=20000, hold=true)"


def test_a_schedule_names_its_group(sizes):
    small, large = (bl.forecast(sizes, schedule=SCHEDULE, steps=[9000, 19000], group={"model_size": s}) for s in ("25M", "100M"))  # fmt: skip
    np.testing.assert_allclose(np.log(median(small) / median(large)), 0.14, atol=0.03)
    assert small["model_size"].values.tolist() == ["25M", "25M"]
    new = bl.forecast(sizes, schedule=SCHEDULE, steps=[9000, 19000], new_group=True)
    assert "model_size" not in new.coords
    width = [np.log(f["upper"] / f["lower"]).sel(kind="run").values for f in (new, small)]
    assert (width[0] > 2 * width[1]).all()
    table = split(sizes, schedule=SCHEDULE, group={"model_size": "100M"})
    assert "group and discrepancy" in set(table["component"])


SCHEDULES = [
    ({}, "group: name a model_size (25M, 100M) with group={'model_size': '100M'} / --group model_size=100M, or ask for a new one"),
    ({"group": {"model_size": "100m"}}, "group: no model_size '100m' in the data; did you mean '100M'? Allowed: 100M, 25M."),
    ({"group": {"modelsize": "100M"}}, "group: no parameter is pooled over 'modelsize'; did you mean 'model_size'?"),
    ({"group": {"model_size": ["100M"]}}, "allowed: one label"),
    ({"group": {"model_size": 100}}, "allowed: one label"),
    ({"group": "100M"}, "group: found '100M', allowed: a label for each column"),
    ({"group": {}}, "group: name a model_size"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "words"), SCHEDULES, ids=[str(o) for o, _ in SCHEDULES])
def test_a_schedule_without_its_group_is_refused(sizes, options, words):
    for ask in (bl.forecast, split):
        with pytest.raises(bl.InputError) as caught:
            ask(sizes, schedule=SCHEDULE, steps=[9000], **options)
        assert words in str(caught.value)


def test_a_law_that_pools_nothing_takes_no_group(published_curves):
    fit = bl.fit(ANNEALING, published_curves, "map", bootstrap=20, progress=False)
    with pytest.raises(bl.InputError, match="the law 'annealing' pools no parameter over groups of runs"):
        bl.forecast(fit, schedule=SCHEDULE, group={"model_size": "100M"})


def test_where_each_run_is_a_group_a_schedule_is_a_new_one():
    spec = bl.change(ANNEALING, pool={"level": "run"})
    data = curves(spec)
    fit = handmade(spec, data, {"level": dict.fromkeys(seen_labels(data), 0.0)})
    assert np.isfinite(median(bl.forecast(fit, schedule=SCHEDULE, steps=[9000]))).all()
    with pytest.raises(bl.InputError, match="pools no parameter over groups of runs"):
        bl.forecast(fit, schedule=SCHEDULE, group={"run": data["run"].values[0]})


def seen_labels(data: xr.Dataset) -> list[str]:
    return list(dict.fromkeys(data["run"].values.astype(str)))


def test_a_benchmark_that_was_left_out_is_a_new_one(two):
    seen = two.data["benchmark"].values == "GSM8K"
    part = handmade(
        bl.change(COMPUTE, pool={"level": TWO}),
        two.data.isel(obs=seen),
        {"level": {"easy": -0.2, "hard": 0.2}},
    )
    held = held_out(part, two.data.isel(obs=~seen))
    assert np.isfinite(held.draws).all() and np.isfinite(held.log_joint)
    known = held_out(two, two.data.isel(obs=~seen))
    assert np.log(held.draws).std(axis=0).mean() > 1.5 * np.log(known.draws).std(axis=0).mean()


def test_a_point_fit_says_that_it_knows_no_groups(two):
    spec = bl.change(COMPUTE, pool={"level": TWO})
    fit = bl.fit(spec, two.data, "map", bootstrap=20, progress=False)
    (check,) = [c for c in bl.checks(fit) if c.name == "pooling"]
    assert check.level == "warn" and "level is one value for every benchmark and difficulty" in check.message


# ---- figures and reports


def lines(figure) -> set[str]:
    return {line.get_label() for ax in figure.axes for line in ax.get_lines()}


def test_figures_show_each_groups_own_curve(two, sizes):
    told = {f"curve: median, {b}, {d}" for b, d in seen_groups(two, TWO)}
    assert len(told) == 4 and told <= lines(bl.plots.plot_fit(two, found=()))
    fc = bl.forecast(two, {"C": [1e21] * 2, "benchmark": ["MATH", "GSM8K"], "difficulty": ["easy", "hard"]})
    figure = bl.plots.plot_forecast(two, fc, found=())
    assert {"curve: median, MATH, easy", "curve: median, GSM8K, hard"} <= lines(figure)
    # Each fan goes through its target.
    ax = next(a for a in figure.axes if a.get_lines())
    for name, target in (("curve: median, MATH, easy", 0), ("curve: median, GSM8K, hard", 1)):
        (line,) = [one for one in ax.get_lines() if one.get_label() == name]
        at = np.interp(np.log(1e21), np.log(line.get_xdata()), line.get_ydata())
        assert at == pytest.approx(median(fc)[target], rel=0.02)
    fc = bl.forecast(sizes, schedule=SCHEDULE, group={"model_size": "100M"})
    (line,) = [one for one in bl.plots.plot_forecast(sizes, fc, found=()).axes[0].get_lines() if one.get_label() == "forecast: curve, median"]  # fmt: skip
    np.testing.assert_allclose(line.get_ydata()[[0, -1]], median(fc)[[0, -1]])


def test_many_groups_are_drawn_as_a_new_one():
    spec = bl.change(PLAIN, pool={"level": "problem"})
    data = bl.read_table(counts(problems=2, n=4000).assign(benchmark="all"), spec)
    fit = handmade(spec, data, {"level": dict.fromkeys(set(data["problem"].values), 0.0)})
    assert "curve: median, a new problem" in lines(bl.plots.plot_fit(fit, found=()))
    (case,) = cases.make_cases(fit, None, None, 0.9)
    assert case.ahead[0].asked["new_group"]


def test_a_report_forecasts_each_of_few_groups(two, sizes, tmp_path):
    (case,) = cases.make_cases(two, None, None, 0.9)
    assert case.point is None and "one law for every benchmark and difficulty" in case.reason
    (ahead,) = case.ahead
    assert ahead.fc["benchmark"].values.tolist() == ["GSM8K", "GSM8K", "MATH", "MATH"]
    page = re.sub(r"<[^>]+>", " ", bl.report(two, tmp_path / "two.html").read_text(encoding="utf-8"))
    assert (
        "benchmark MATH, difficulty hard" in page
        and "each benchmark and difficulty with its own around it" in page
    )
    assert "\x1f" not in page

    (case,) = cases.make_cases(sizes, None, None, 0.9)
    assert {a.run: a.asked["group"]["model_size"] for a in case.ahead}["25M cosine_20000"] == "25M"
    (case,) = cases.make_cases(sizes, None, SCHEDULE, 0.9)
    assert [a.asked["group"]["model_size"] for a in case.ahead] == ["25M", "100M"]
    (case,) = cases.make_cases(sizes, None, SCHEDULE, 0.9, {"model_size": "100M"})
    assert "--group model_size=100M" in shell_commands(sizes, case.ahead, 0.9)
    assert "group={'model_size': '100M'}" in python_commands(sizes, case.ahead, 0.9)
    path = bl.report(sizes, tmp_path / "sizes.html", schedule=SCHEDULE, group={"model_size": "100M"})
    assert "model_size 100M" in path.read_text(encoding="utf-8")
    with pytest.raises(bl.InputError, match="given without a schedule"):
        bl.report(two, tmp_path / "no.html", group={"benchmark": "MATH"})


# ---- sampled


@pytest.fixture(scope="module")
def sampled():
    spec = bl.change(PLAIN, likelihood={"family": "Binomial"}, pool={"level": TWO})
    return bl.fit(spec, bl.read_table(counts(), spec), draws=150, tune=250, chains=2, seed=1, progress=False)


def test_levels_of_combinations_come_back(sampled, tmp_path):
    fit = bl.load_fit(sampled.save(tmp_path / "fit.nc"))
    fc = bl.forecast(fit, {"C": [1e21] * 4, "benchmark": ["GSM8K", "GSM8K", "MATH", "MATH"], "difficulty": ["easy", "hard"] * 2})  # fmt: skip
    own = np.log(median(fc))
    np.testing.assert_allclose(own - own[0], [0, 0.4, 0.4, 0.8], atol=0.1)
    assert fit.tree["latent"][score_name("level")].sizes[f"{score_name('level')}_dim"] == 4


def test_studies_of_a_pooled_fit(sampled):
    """One compiled model serves them all."""
    spec = bl.change(PLAIN, likelihood={"family": "Binomial"}, pool={"level": TWO})
    short = {"draws": 40, "tune": 100, "chains": 2, "progress": False}
    bt = bl.backtest(spec, sampled.data, "benchmark", methods=["posterior"], **short)
    assert bt["window"].values.tolist() == ["GSM8K", "MATH"] and np.isfinite(bt["log_score_joint"]).all()
    st = bl.stability(spec, sampled.data, every=2.0, early=False, **short)
    assert np.isfinite(st["median"]).all()


def test_difficulties_of_real_counts():
    spec = bl.change(BINOMIAL, pool={"level": "difficulty"})
    table = pd.read_csv(shared("livecodebench/generation_counts.csv")).query("n == 10")
    table = table.assign(compute=1e20 * (1 + table["model"].astype("category").cat.codes))
    data = bl.read_table(table, spec)
    assert data.sizes["obs"] == table.groupby(["model", "difficulty"]).ngroups
    assert set(data["difficulty"].values) == {"easy", "medium", "hard"}
