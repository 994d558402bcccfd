"""Figures as they are drawn: nothing is cut or lies over something else, and what is drawn is what was meant."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import TRUTHS, noiseless
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.core.numbers import short
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import make_fit
from bayeslaw.law.evaluate import derive
from bayeslaw.law.priors import draw_priors
from bayeslaw.observation.bound import bind
from bayeslaw.observation.discrepancy_shapes import lengths
from bayeslaw.plots.panels.densities import grid_of, masses
from bayeslaw.plots.panels.rows import plain_inputs
from bayeslaw.plots.panels.views import views_of
from bayeslaw.plots.style.axes import few_ticks
from bayeslaw.plots.style.look import COLOURS
from bayeslaw.plots.style.texts import abridged, plain, wrapped

LONG = """
title  = "loss from parameters, tokens and the shape of the network, a law that has one more input than most others have"
source = "made up"
law    = "irreducible_loss_of_the_mixture + A_param * N**-exponent_of_parameters_in_loss + B_token * D**-exponent_of_tokens_in_the_loss + shape_cost_of_wide_networks * R"

[inputs]
N = { column = "params", meaning = "active parameters without embeddings", unit = "parameter", reference = "geometric-mean" }
D = { column = "tokens", meaning = "pretraining tokens, counted as often as they are repeated", unit = "token", reference = "geometric-mean" }
R = { column = "aspect", meaning = "width over depth", unit = "1", reference = "geometric-mean" }

[output]
name  = "loss"
unit  = "nat/token of the held-out half of the mixture"
scale = "log"

[parameters]
irreducible_loss_of_the_mixture = { meaning = "floor", unit = "nat/token", support = "positive", prior_90 = [0.5, 3] }
size_of_part_reduced_by_params = { meaning = "there", unit = "nat/token", support = "positive", prior_90 = [0.01, 2] }
size_of_part_reduced_by_tokens = { meaning = "there", unit = "nat/token", support = "positive", prior_90 = [0.01, 2] }
exponent_of_parameters_in_loss = { meaning = "exponent", support = "positive", prior_90 = [0.1, 1.2] }
exponent_of_tokens_in_the_loss = { meaning = "exponent", support = "positive", prior_90 = [0.1, 1.2] }
shape_cost_of_wide_networks = { meaning = "loss", unit = "nat/token per unit of width over depth", support = "positive", prior_90 = [1e-6, 1e-3] }

[derived]
A_param = { formula = "size_of_part_reduced_by_params * ref_N**exponent_of_parameters_in_loss", meaning = "A", unit = "nat/token active parameter^exponent_of_parameters_in_loss" }
B_token = { formula = "size_of_part_reduced_by_tokens * ref_D**exponent_of_tokens_in_the_loss", meaning = "B", unit = "nat/token token^exponent_of_tokens_in_the_loss" }

[likelihood]
family = "StudentT"
sigma = { meaning = "run noise", unit = "log", prior_90 = [0.0005, 0.1] }
nu    = { meaning = "degrees of freedom", prior_90 = [2, 60] }

[discrepancy]
kernel = "matern32"
over   = ["N", "D"]
scale  = { meaning = "wandering", unit = "sigma", prior_90 = [0.15, 8] }
length = { meaning = "distance", unit = "e-fold", prior_90 = [1.5, 8] }
"""
TARGETS = {"compute": ("C", 1e18), "gold-likelihood": ("G", 5.0)}


# ---- made-up fits


def made_up(spec: bl.Spec, data: xr.Dataset, natural: dict, size: int = 60) -> bl.Fit:
    """A posterior around known values, in two chains: nothing is sampled, so it is there at once."""
    spec, rng = bl.resolve(spec, data), np.random.default_rng(1)
    near = {n: v * np.exp(0.01 * rng.standard_normal((2, size))) for n, v in natural.items()}
    near |= {"lam": 1 - 0.001 * near["lam"]} if "lam" in near else {}
    values = {**bl.to_sampling(spec, near), **near} if spec.inverse else near
    values |= {n: np.broadcast_to(v, (2, size)) for n, v in derive(spec, values).items()}
    drawn = draw_priors(spec, 2 * size, rng)
    for name, parameter in spec.noise.items():
        if parameter.fixed is None:
            values[name] = drawn[name].reshape(2, size)
    if grid_of(spec, "discrepancy_length") is not None:
        values["discrepancy_length"] = rng.choice(lengths(spec)[0][2:6], (2, size))
    with np.errstate(all="ignore"):
        drawn |= {n: np.broadcast_to(v, 2 * size) for n, v in derive(spec, drawn).items()}
    groups = {
        "posterior": xr.Dataset({n: (("chain", "draw"), v) for n, v in values.items()}),
        "prior": xr.Dataset({n: (("chain", "draw"), v[None]) for n, v in drawn.items()}),
        "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, size), bool))}),
    }
    return make_fit(bind(spec, data), "nuts", {}, groups)


def shipped(name: str) -> bl.Fit:
    return made_up(*noiseless(name, 0.02), TRUTHS[name])


@pytest.fixture(scope="module", params=list(TRUTHS))
def fit(request) -> bl.Fit:
    return shipped(request.param)


@pytest.fixture(scope="module")
def two() -> bl.Fit:
    return shipped("chinchilla")


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> bl.Fit:
    path = tmp_path_factory.mktemp("laws") / "long.toml"
    path.write_text(LONG, encoding="utf-8")
    spec, rng = bl.load_model(str(path)), np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "params": 10 ** rng.uniform(7, 10, 40),
            "tokens": 10 ** rng.uniform(9, 12, 40),
            "aspect": 64.0,
            "loss": 0.0,
        }
    )
    data = bl.read_table(frame.assign(loss=3 * (frame["params"] / 1e8) ** -0.05), spec)
    names = list(spec.parameters)
    return made_up(spec, data, dict(zip(names, (1.7, 0.5, 0.4, 0.34, 0.3, 1e-4), strict=True)))


def curves(runs: int) -> bl.Fit:
    """Runs of different lengths along cosine schedules, with names as people give them."""
    spec, parts, schedules = bl.load_model("annealing"), [], {}
    for i in range(runs):
        run = f"transformer-100M-cosine-seed{i}-run{i:03d}-final"
        steps = np.arange(1000, 20001 + 1000 * i, 1000)
        schedules[run] = f"cosine(peak=2e-4, end=2e-5, warmup=500, total={steps[-1]})"
        parts.append(pd.DataFrame({"run": run, "step": steps, "loss": 2.6 + 50 * steps**-0.6 + 0.01 * i}))
    return made_up(spec, bl.read_curves(pd.concat(parts), spec, schedules), TRUTHS["annealing"])


# ---- what is looked at


def shown_texts(figure: Figure) -> list[Text]:
    """All texts that a reader sees: of ticks those inside the view."""
    found: list[Text] = []

    def walk(artist) -> None:
        if not artist.get_visible() or not getattr(artist, "axison", True):
            return
        if isinstance(artist, Axis):
            scale, place = artist.get_transform().transform, "xy".index(artist.axis_name)
            low, high = sorted(map(float, scale(artist.get_view_interval())))
            for tick in (*artist.get_majorticklabels(), *artist.get_minorticklabels()):
                with np.errstate(all="ignore"):
                    at = float(scale(tick.get_position()[place]))
                if low - 1e-6 * (high - low) <= at <= high + 1e-6 * (high - low):
                    walk(tick)
            walk(artist.label)
            walk(artist.offsetText)
        elif isinstance(artist, Text):
            found.extend([artist] if artist.get_text().strip() else [])
        else:
            for child in artist.get_children():
                walk(child)

    walk(figure)
    return found


def faults(figure: Figure) -> list[str]:
    """Texts that leave the figure, and pairs that lie over one another, by their rendered boxes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [(t, t.get_window_extent(canvas.get_renderer())) for t in shown_texts(figure)]
    whole, out = figure.bbox, []
    for i, (text, box) in enumerate(boxes):
        if min(box.x0 - whole.x0, whole.x1 - box.x1, box.y0 - whole.y0, whole.y1 - box.y1) < -0.5:
            out.append(f"cut: {text.get_text()!r}")
        for other, its in boxes[i + 1 :]:
            if (
                min(box.x1, its.x1) - max(box.x0, its.x0) > 1
                and min(box.y1, its.y1) - max(box.y0, its.y0) > 1
            ):
                out.append(f"{text.get_text()!r} over {other.get_text()!r}")
    return out


def ahead(fit: bl.Fit, count: int) -> xr.Dataset:
    """Forecast targets that lie ever farther beyond the data, or along a schedule."""
    if fit.spec.name == "annealing":
        return bl.forecast(fit, schedule="wsd(peak=2e-4, end=0, warmup=500, stable=24000, total=30000)")
    top = {n: fit.data[fit.spec.inputs[n].column].values.max() for n in plain_inputs(fit.spec)}
    return bl.forecast(fit, {n: v * np.geomspace(0.5, 100, count)[-count:] for n, v in top.items()})


def check(*figures: Figure) -> None:
    assert [faults(figure) for figure in figures] == [[]] * len(figures)


# ---- nothing is cut, nothing collides


def test_the_test_sees_what_collides_and_what_is_cut():
    figure = Figure(figsize=(3, 2))
    figure.text(0.5, 0.5, "one")
    figure.text(0.5, 0.52, "two")
    figure.text(0.95, 0.1, "a long text")
    assert faults(figure) == ["'one' over 'two'", "cut: 'a long text'"]


def test_no_text_collides_or_is_cut(fit):
    names = [str(n) for n in fit.draws.data_vars]
    check(
        plots.plot_fit(fit, found=[]),
        plots.plot_residuals(fit, found=[]),
        plots.plot_prior_posterior(fit, names),
        plots.plot_posterior(
            fit, names, {"the published point fit": {n: float(fit.draws[n].mean()) for n in names}}
        ),
        plots.plot_forecast(fit, ahead(fit, 12), found=[]),
    )


def test_long_names_and_units_break_into_lines(long):
    names = [str(n) for n in long.draws.data_vars]
    found = [bl.Check(f"a-check-with-a-long-name-{i}", "warn", 0.0, "") for i in range(9)]
    check(
        plots.plot_fit(long, found=found),
        plots.plot_residuals(long, found=found),
        plots.plot_prior_posterior(long, names),
        plots.plot_posterior(long, names),
        plots.plot_pair(long),
        *(plots.plot_forecast(long, ahead(long, count), found=found) for count in (1, 40)),
    )


@pytest.mark.parametrize("runs", [1, 3, 9, 30])
def test_few_and_many_curves(runs):
    fit = curves(runs)
    figure = plots.plot_fit(fit, found=[])
    check(figure, plots.plot_residuals(fit, found=[]), plots.plot_forecast(fit, ahead(fit, 1), found=[]))
    panels = [ax for ax in figure.axes if ax.axison]
    assert len(panels) == (1 if runs <= 4 else min(runs, 24)), "many fans would hide one another"
    labels = figure.legends[0].get_texts() if figure.legends else []
    assert any("24 of 30 runs" in t.get_text() for t in labels) == (runs == 30)
    coloured = [line.get_color() for line in plots.plot_residuals(fit, found=[]).axes[0].get_lines()]
    named = [c for c in coloured if c in COLOURS]
    assert len(named) == len(set(named)) == min(runs, len(COLOURS)), "no colour serves two runs"


# ---- what is summed out on a grid


def test_a_length_that_is_summed_out_is_drawn_as_a_bar_a_length(two):
    """A histogram would show the grid's spikes: prior and posterior masses stand side by side."""
    figure = plots.plot_prior_posterior(two, ["discrepancy_length", "discrepancy_scale"])
    prior, posterior = figure.axes[0].containers
    grid, log_weights = lengths(two.spec)
    seen = masses(grid, two.draws["discrepancy_length"].values.ravel())
    peak = max(np.exp(log_weights).max(), seen.max())
    for bars, mass in ((prior, np.exp(log_weights)), (posterior, seen)):
        np.testing.assert_allclose([b.get_height() for b in bars], mass / peak)
    edges = [
        (b.get_x(), b.get_x() + b.get_width()) for pair in zip(prior, posterior, strict=True) for b in pair
    ]
    assert all(a[1] <= b[0] * (1 + 1e-9) for a, b in itertools.pairwise(edges))
    assert not figure.axes[1].containers, "a scale has any value: a histogram"


def test_posterior_of_a_length_is_bars_with_gaps(two):
    stairs = plots.plot_posterior(two, ["discrepancy_length"], prob=0.8).axes[0].patches
    heights, edges, _ = stairs[0].get_data()
    grid = lengths(two.spec)[0]
    assert len(edges) == 2 * len(grid)
    assert (heights[1::2] == 0).all()
    draws = two.draws["discrepancy_length"].values.ravel()
    low, high = np.quantile(draws, [0.1, 0.9])
    inside = (grid >= low) & (grid <= high) & (masses(grid, draws) > 0)
    assert ((stairs[1].get_data().values[::2] > 0) == inside).all()


# ---- forecasts


def written(ax) -> list[str]:
    return [t.get_text() for t in ax.texts]


def test_a_target_has_one_distance_in_every_panel(two):
    fc = bl.forecast(two, {"N": [1e12], "D": [1e12]})
    fc = fc.assign_coords(orders_beyond=("target", [1.6]))
    assert [written(ax) for ax in plots.plot_forecast(two, fc, found=[]).axes[:2]] == [["+1.6 orders"]] * 2
    inside = bl.forecast(two, {"N": [1e8], "D": [1e10]}).assign_coords(orders_beyond=("target", [0.3]))
    assert [written(ax) for ax in plots.plot_forecast(two, inside, found=[]).axes[:2]] == [
        ["+0.3 orders"]
    ] * 2


def test_where_targets_stand_close_the_farthest_one_says_how_far():
    fit = shipped("compute")
    fc = ahead(fit, 12)
    told = written(plots.plot_forecast(fit, fc, found=[]).axes[0])
    assert told[-1] == f"+{fc['orders_beyond'].values.max():.1f} orders"
    assert 1 <= len(told) < 12


def test_a_law_of_parameters_and_tokens_is_drawn_over_compute(two):
    over_compute, over_size = views_of(two.spec, ["N", "D"])
    rows = {"N": np.array([1e9, 3e8]), "D": np.array([2e10, 1e12])}
    assert over_compute.across.of(rows) == pytest.approx(6 * rows["N"] * rows["D"])
    assert over_compute.colour.of(rows) == pytest.approx(rows["D"] / rows["N"])
    figure = plots.plot_forecast(two, ahead(two, 1), found=[])
    labels = [ax.get_xlabel() for ax in figure.axes[:2]]
    assert labels == ["6·N·D: training compute (FLOP)", "N: parameters (parameter)"]
    for view in (over_compute, over_size):
        back = view.inputs(view.across.of(rows), view.colour.of(rows))
        for name, values in rows.items():
            np.testing.assert_allclose(back[name], values)


def test_two_other_inputs_are_drawn_one_over_the_other():
    document = LONG.replace('"params"', '"width"').replace('"tokens"', '"depth"')
    from bayeslaw.law.catalogue import parse_toml

    spec = parse_toml(document, "long")
    views = views_of(spec, ["N", "D"])
    rows = {"N": np.array([1.0, 2.0]), "D": np.array([5.0, 7.0])}
    assert [(v.across.name, v.colour.name) for v in views] == [("D", "N"), ("N", "D")]
    for view in views:
        assert view.inputs(view.across.of(rows), view.colour.of(rows)) == rows


def test_a_fan_has_the_colour_of_its_targets_and_ends_at_them(two):
    """A dot compares with the fan of its colour only, so a target's fan has the target's."""
    targets = {"N": [1e11, 3e11], "D": [2e12, 6e12]}
    ax = plots.plot_forecast(two, bl.forecast(two, targets), found=[]).axes[0]
    fans = [line for line in ax.get_lines() if len(line.get_xdata()) > 10]
    diamonds = next(c for c in ax.collections if len(c.get_offsets()) == 2)
    assert len(fans) == 1, "twenty tokens per parameter both: one fan"
    assert "D/N = 20" in fans[0].get_label()
    for face in diamonds.get_facecolors():
        np.testing.assert_allclose(face, to_rgba(fans[0].get_color()), atol=0.01)
    assert fans[0].get_xdata().max() >= 6 * 3e11 * 6e12
    far = bl.forecast(two, {"N": [1e11, 1e9], "D": [2e12, 2e12]})
    apart = plots.plot_forecast(two, far, found=[]).axes[0]
    assert len({line.get_color() for line in apart.get_lines() if len(line.get_xdata()) > 10}) == 2


def test_three_inputs_have_a_line_a_target(long):
    fc = ahead(long, 3)
    left, right = plots.plot_forecast(long, fc, found=[]).axes[:2]
    assert left.get_xlabel().startswith("fitted")
    labels = [t.get_text().replace("\xa0", " ") for t in right.get_yticklabels()]
    assert labels[0].startswith(f"N = {short(float(fc['N'][0]))}, D")
    numbers = [t.get_text() for t in right.child_axes[0].get_yticklabels()]
    run = fc.sel(kind="run")
    for t, text in enumerate(numbers):
        assert f"{float(run['median'][t]):.4g} [{float(run['lower'][t]):.4g}, " in text
        assert (f"+{float(fc['orders_beyond'][t]):.1f} orders" in text) == (float(fc["orders_beyond"][t]) > 0)


def test_a_schedules_end_has_a_panel_of_its_own():
    fit = curves(2)
    fc = ahead(fit, 1)
    figure = plots.plot_forecast(fit, fc, found=[])
    figure.draw_without_rendering()
    top, bottom, end = figure.axes
    assert end.get_position().x0 > max(ax.get_position().x1 for ax in (top, bottom)), "it hides nothing"
    last, length = int(fc["step"][-1]), int(fc["step"][-1] - fc["step"][0])
    assert last - end.get_xlim()[0] == pytest.approx(0.15 * length, rel=0.1)
    run = fc.sel(kind="run").isel(step=-1)
    low, middle, high = (f"{float(run[q]):.4g}" for q in ("lower", "median", "upper"))
    assert f"step {last}: {middle} [{low}, {high}]" in end.get_title(loc="left")
    assert end.get_ylim()[0] < float(run["lower"]) < float(run["upper"]) < end.get_ylim()[1]
    fans = [line for line in top.get_lines() if "forecast" in str(line.get_label())]
    np.testing.assert_allclose(fans[0].get_ydata()[-1], fc["median"].sel(kind="curve")[-1])
    one = bl.forecast(fit, schedule="constant(peak=2e-4, total=9000)", steps=[9000])
    check(plots.plot_forecast(fit, one, found=[]))


def test_a_pooled_laws_fan_is_that_of_the_targets_group():
    spec, data = noiseless("compute", 0.02)
    local = {"slope": None, "scale": {"unit": "sigma", "prior_90": [0.15, 8]}}  # a median that few draws tell
    spec = bl.change(spec, pool={"level": "family"}, discrepancy=local)
    data = data.assign_coords(family=("obs", np.repeat(["Llama", "Pythia"], 20)))
    one = made_up(spec, data, {**TRUTHS["compute"]})
    score = np.zeros((2, 60, 16))
    score[..., 0], score[..., 1] = 2.0, -2.0
    groups = {name: node.to_dataset() for name, node in one.tree.children.items()}
    groups["posterior"]["level_spread"] = ("chain", "draw"), np.full((2, 60), 0.3)
    groups["latent"] = xr.Dataset({"level_score": (("chain", "draw", "group"), score)})
    one = make_fit(one.bound, "nuts", {}, {n: g for n, g in groups.items() if not n.endswith("_data")})
    fc = bl.forecast(one, {"C": [1e24, 1e24], "family": ["Llama", "Pythia"]})
    ax = plots.plot_forecast(one, fc, found=[]).axes[0]
    fans = [line for line in ax.get_lines() if "curve: median" in str(line.get_label())]
    assert [line.get_label() for line in fans] == ["curve: median, Llama", "curve: median, Pythia"]
    for line, middle in zip(fans, fc["median"].sel(kind="run").values, strict=True):
        assert np.interp(24, np.log10(line.get_xdata()), line.get_ydata()) == pytest.approx(middle, rel=0.05)
    labels = plots.plot_fit(one, found=[]).axes[0].get_legend_handles_labels()[1]
    assert {"curve: median, Llama", "curve: median, Pythia"} <= set(labels)


def test_what_is_no_number_leaves_a_gap(two):
    for fit, fc in ((two, ahead(two, 3)), *((f, ahead(f, 3)) for f in (shipped("compute"), curves(2)))):
        for name in ("median", "lower", "upper"):
            fc[name][..., -1] = {"median": np.nan, "lower": -np.inf, "upper": np.inf}[name]
        check(plots.plot_forecast(fit, fc, found=[]))


def test_a_mixture_of_two_inputs_is_drawn(two):
    mixture = Mixture({"one": two, "other": two}, {"one": 0.6, "other": 0.4}, xr.Dataset())
    fc = ahead(two, 1).assign_attrs(model=mixture.name, checks="[]")
    figure = plots.plot_forecast(mixture, fc, found=[])
    check(figure)
    assert "one: median, weight 0.60" in figure.axes[0].get_legend_handles_labels()[1]


# ---- studies


def study(names: list[str], unit: str) -> xr.Dataset:
    """What `stability` returns, made up: two views, parameters with long names, one that drifts."""
    windows, rng = 12, np.random.default_rng(2)
    shape = ("window", "parameter"), (windows, len(names))
    middle = xr.DataArray(np.exp(rng.normal(size=shape[1])), dims=shape[0])
    st = xr.Dataset({
        "median": middle, "lower": middle / 30, "upper": middle * 1e6,
        "resolved": (shape[0], rng.random(shape[1]) < 0.5), "view": ("window", ["trailing"] * 6 + ["growing"] * 6),
        "orders": ("window", [*np.linspace(0.5, 5, 6), *np.linspace(0, 4, 6)]),
        **{f"target_{q}": ("window", np.r_[np.full(6, np.nan), np.full(6, v)]) for q, v in
           (("median", 3.0), ("lower", 1.0), ("upper", 9.0))},
        "verdict": ("parameter", ["not resolved below 4.0 orders, and drifts at 2.5 orders"] * len(names)),
        "unit": ("parameter", [unit] * len(names)), "drift_at": ("parameter", np.linspace(1, 3, len(names))),
        "failed": ("window", [""] * windows), "fitted": ("window", np.ones(windows, bool)),
    }, {"parameter": names}, {
        "title": "loss from parameters, tokens and shape", "along": "compute", "prob": 0.9, "observed": 2.5,
        "units": "nat/token of the held-out half", "early_orders": 2.0,
        "law_verdict": f"not resolved ({', '.join(names)})",
    })  # fmt: skip
    return st


def test_studies_with_long_names():
    names = ["irreducible_loss_of_the_mixture", "exponent_of_parameters_in_loss", *"abcdefghij"]
    st = study(names, "nat/token active parameter^exponent_of_parameters_in_loss")
    one = st.isel(window=0).drop_vars("view")
    by_k = xr.concat([one, one], pd.Index([1, 128], name="k"), data_vars="all")
    by_k = by_k.assign(
        rows=("k", [54, 31]), stable_orders=(("k", "parameter"), np.full((2, len(names)), 3.0))
    )
    check(plots.plot_stability(st), plots.plot_by_k(by_k.assign_attrs(st.attrs)))


# ---- helpers


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("alpha (1)", 30, ["alpha (1)"]),
        ("discrepancy_length (e-fold)", 20, ["discrepancy_length", "(e-fold)"]),
        ("irreducible_loss_of_the_mixture", 20, ["irreducible_loss_of_", "the_mixture"]),
        ("x" * 25, 10, ["x" * 9, "x" * 9, "x" * 7]),
        ("", 10, [""]),
    ],
)
def test_texts_break_into_lines(text, width, lines):
    assert wrapped(text, width).split("\n") == lines


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.001, 1000, [1e-3, 1e-1, 10, 1000]),
        (0.06, 2.5, [0.1, 0.5, 2]),
        (0.3, 3, [0.5, 1, 2]),
        (2.0, 2.4, [2.1, 2.4]),
    ],
)
def test_small_panels_have_few_round_ticks(low, high, ticks):
    found = few_ticks(low, high)
    assert len(found) <= 4
    assert set(np.round(ticks, 9)) <= set(np.round(found, 9))


def test_a_dollar_sign_is_escaped_once():
    assert plain(plain("a $x$")) == r"a \$x\$"


def test_long_names_lose_their_middle():
    assert abridged("transformer-100M-seed7", 13) == "transf…-seed7"
    assert abridged("short", 13) == "short"
