"""Figures: drawn for every kind of fit, named with units, honest about their probability, saved whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import bayeslaw as bl
from bayeslaw import demo, plots

SCHEDULE = "wsd(peak=2e-4, end=0, warmup=500, stable=24000, total=30000, hold=true)"


@pytest.fixture(scope="module")
def spec():
    return bl.load_model("compute")


@pytest.fixture(scope="module")
def ladder(spec):
    """The compute law's data from simulated counts."""
    return bl.read_table(demo.simulated_counts(), spec, k=1)


@pytest.fixture(scope="module")
def posterior(spec, ladder):
    return bl.fit(spec, ladder, draws=100, tune=200, chains=2, seed=3, progress=False)


@pytest.fixture(scope="module")
def point_fits(spec, ladder):
    """A point fit of every shape of law: one input, two, and a schedule."""
    curves_spec = bl.load_model("annealing")
    curves = bl.read_curves(demo.CURVES, curves_spec, demo.SCHEDULES)
    rng = np.random.default_rng(5)
    n, d = 10 ** rng.uniform(7, 10, 40), 10 ** rng.uniform(9, 11.5, 40)
    loss = (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(0.01 * rng.standard_normal(40))
    runs_spec = bl.load_model("chinchilla")
    runs = bl.read_table(pd.DataFrame({"params": n, "tokens": d, "loss": loss}), runs_spec)
    return {
        name: bl.fit(s, data, "map", bootstrap=50, progress=False)
        for name, s, data in (
            ("compute", spec, ladder),
            ("annealing", curves_spec, curves),
            ("chinchilla", runs_spec, runs),
        )
    }


def forecast_of(fit):
    if fit.spec.name == "annealing":
        return bl.forecast(fit, schedule=SCHEDULE, prob=0.8)
    targets = {"compute": {"C": [1e16, 1e24]}, "chinchilla": {"N": [1e11, 1e9], "D": [1e13, 1e11]}}
    return bl.forecast(fit, targets[fit.spec.name], prob=0.8)


def panels(figure: Figure):
    return [ax for ax in figure.axes if ax.get_visible() and ax.axison and ax.get_xlabel()]


def texts(figure: Figure) -> str:
    found = [t.get_text() for ax in figure.axes if ax.get_legend() for t in ax.get_legend().get_texts()]
    found += [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    return " | ".join(found)


@pytest.mark.parametrize("name", ["compute", "annealing", "chinchilla"])
def test_every_axis_has_a_name_and_a_unit_and_every_fan_its_probability(point_fits, name):
    fit = point_fits[name]
    drawn = [
        plots.plot_fit(fit, 0.8),
        plots.plot_residuals(fit, 0.8),
        plots.plot_forecast(fit, forecast_of(fit)),
    ]
    for figure in drawn:
        assert isinstance(figure, Figure)
        assert panels(figure)
        for ax in panels(figure):
            assert "(" in ax.get_xlabel()
            assert "(" in ax.get_ylabel()
        assert "80 %" in texts(figure)
        assert "checks:" in figure.get_supxlabel()


def test_posterior_figures(posterior):
    figures = [plots.plot_fit(posterior), plots.plot_residuals(posterior), plots.plot_pair(posterior)]
    figures += [
        plots.plot_prior_posterior(posterior),
        plots.plot_posterior(posterior, marks={"truth": demo.TRUTH}),
    ]
    figures += [plots.plot_forecast(posterior, forecast_of(posterior))]
    assert "neg log pass@k (nat), k = 1" in [ax.get_ylabel() for ax in figures[0].axes]
    assert len(panels(figures[3])) == len([*posterior.spec.scalar_names, *posterior.spec.noise])
    assert [ax.get_xlabel().split()[0] for ax in panels(figures[4])][-1] == "alpha"
    assert "truth" in texts(figures[4])
    assert "90 %" in texts(figures[4])


def test_a_forecast_says_how_far_it_lies_beyond_the_data(posterior):
    figure = plots.plot_forecast(posterior, bl.forecast(posterior, {"C": [1e24]}))
    assert "+2.0 orders" in [t.get_text() for t in figure.axes[0].texts]


def test_the_fan_is_the_forecast(posterior):
    """What is drawn and what is tabulated are one computation."""
    from bayeslaw.plots.panels.fans import fan_of

    at = np.array([1e19, 1e21])
    fan, fc = fan_of(posterior, {"C": at}, 0.9), bl.forecast(posterior, {"C": at})
    np.testing.assert_allclose(fan.line, fc["median"].sel(kind="curve"), rtol=1e-12)
    np.testing.assert_allclose(fan.curve[0], fc["lower"].sel(kind="curve"), rtol=1e-12)


def test_checks_travel_with_the_figure(posterior):
    figure = plots.plot_fit(posterior, found=[bl.Check("ess-bulk", "fail", 12.0, "too few")])
    assert "fail: ess-bulk" in figure.get_supxlabel()


def test_a_point_fit_without_bootstrap_is_drawn(spec, ladder):
    assert plots.plot_fit(bl.fit(spec, ladder, "map", bootstrap=0, progress=False)).axes


def test_divergent_draws_are_marked(posterior):
    tree = posterior.tree.copy(deep=True)
    tree["sample_stats"]["diverging"][:, 3] = True
    assert "divergent" in plots.plot_pair(bl.Fit(posterior.spec, tree)).get_suptitle()


def test_no_figure_stays_open(posterior):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    plots.plot_pair(posterior)
    assert pyplot.get_fignums() == before


def test_save_all(posterior, point_fits, tmp_path):
    names = [p.name for p in plots.save_all(posterior, tmp_path / "a" / "b")]
    assert names == ["fit.png", "residuals.png", "prior-posterior.png", "pair.png"]
    written = plots.save_all(point_fits["annealing"], tmp_path / "c")
    assert [p.name for p in written] == ["fit.png", "residuals.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in written)
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == sorted(p.name for p in written)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
def test_save_by_suffix(tmp_path, suffix):
    assert plots.save(Figure(), tmp_path / f"a{suffix}").stat().st_size > 0


def test_bad_input(posterior, point_fits, tmp_path):
    point = point_fits["compute"]
    (tmp_path / "file").write_text("")
    cases = {
        "ends in": lambda: plots.save(Figure(), tmp_path / "a.jpg"),
        "no suffix": lambda: plots.save(Figure(), tmp_path / "a"),
        "cannot be written": lambda: plots.save(Figure(), tmp_path / "missing" / "a.png"),
        "cannot be made a folder": lambda: plots.save_all(point, tmp_path / "file"),
        "no posterior": lambda: plots.plot_pair(point),
        "prob:": lambda: plots.plot_fit(point, 90),
        "did you mean 'alpha'": lambda: plots.plot_posterior(posterior, ["alhpa"]),
        "fc must be what": lambda: plots.plot_forecast(posterior, forecast_of(point_fits["chinchilla"])),
    }
    for message, call in cases.items():
        with pytest.raises(bl.InputError, match=message):
            call()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
