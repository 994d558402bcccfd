"""Joint draws, differences between two forecasts, and groups' own values of a parameter."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import handmade, noiseless
from test_pool import curves as pooled_curves
from test_pool import handmade as pooled_handmade

import bayeslaw as bl
from bayeslaw.cli.main import main
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.forecasts.posterior import posterior_of
from bayeslaw.inference.fit import make_fit
from bayeslaw.observation.bound import bind

TRUNK = "wsd(peak=2e-4, end=1e-5, warmup=500, stable={stable}, total={total}, hold=true)"
CONSTANT = "constant(peak=2e-4, warmup=500, total={total}, hold=true)"
EARLY, LATE = TRUNK.format(stable=12000, total=12700), TRUNK.format(stable=12000, total=12900)


@pytest.fixture(scope="module")
def compute():
    return handmade("compute")


@pytest.fixture(scope="module")
def curves():
    return handmade("annealing")


@pytest.fixture(scope="module")
def families():
    """Level by family: b 0.4 above a on the log scale, c beside b."""
    spec, data = noiseless("compute", noise=0.01)
    data = data.assign_coords(family=("obs", np.resize(list("abc"), data.sizes["obs"])))
    spec = bl.resolve(bl.change(spec, discrepancy=None, pool={"level": "family"}), data)
    plain = handmade("compute", bl.change(spec, pool={"level": None}), data)
    rng, shape = np.random.default_rng(0), tuple(plain.draws.sizes.values())
    score = 0.1 * rng.standard_normal((*shape, 16))
    score[..., 0], score[..., 1:3] = score[..., 0] - 1.0, score[..., 1:3] + 1.0
    groups = {n: node.to_dataset() for n, node in plain.tree.children.items() if not n.endswith("_data")}
    groups["posterior"]["level_spread"] = ("chain", "draw"), np.full(shape, 0.2)
    groups["latent"] = xr.Dataset({"level_score": (("chain", "draw", "group"), score)})
    return make_fit(bind(spec, data), "nuts", {}, groups)


def point():
    spec, data = noiseless("power", noise=0.02)
    return bl.fit(spec, data, "map", bootstrap=50)


def mixture(compute):
    scores = xr.Dataset({"log_score_joint": (("law", "window"), np.zeros((2, 1)))})
    return Mixture({"a": compute, "b": compute}, {"a": 0.75, "b": 0.25}, scores)


# ---- joint draws


@pytest.mark.parametrize("which", ["posterior", "point", "mixture"])
def test_the_summary_is_that_of_the_draws(which, compute):
    fit = {"posterior": compute, "point": None, "mixture": mixture(compute)}[which] or point()
    name = "x" if which == "point" else "C"
    at = {"x": [1e6, 1e7, 1e8]} if which == "point" else {"C": [1e21, 1e22, 1e23]}
    fc = bl.forecast(fit, at, prob=0.8, draws=True)
    drawn = fc["draws"]
    assert drawn.dims == ("draw", "target", "kind") and drawn.attrs["units"] == fc.attrs["units"]
    assert drawn["kind"].values.tolist() == ["law", "curve", "run"] and name in fc.coords
    ends = np.quantile(drawn.values, [0.1, 0.9], axis=0, method="median_unbiased")
    for found, wanted in zip(ends, (fc["lower"], fc["upper"]), strict=True):
        np.testing.assert_allclose(found.T, wanted, rtol=0.02)
    assert fc.drop_vars("draws").equals(bl.forecast(fit, at, prob=0.8, draws=True).drop_vars("draws"))
    assert "draws" not in bl.forecast(fit, at)


def test_a_draw_is_one_curve(compute):
    """Neighbouring targets share the discrepancy: draw by draw the curve hardly moves between them."""
    at = {"C": [1e24, 1.01e24]}
    joint = np.log(bl.forecast(compute, at, draws=True)["draws"].sel(kind="curve"))
    apart = joint.isel(target=0) - joint.isel(target=1)
    assert float(apart.std()) < 0.05 * float(joint.isel(target=0).std())


def test_too_many_targets_are_not_drawn_together(compute):
    with pytest.raises(bl.InputError, match="draws: found 201 targets or steps, allowed: at most 200"):
        bl.forecast(compute, {"C": np.geomspace(1e22, 1e24, 201)}, draws=True)


def test_every_posterior_answers_the_same_calls(compute):
    for fit in (compute, point(), mixture(compute)):
        posterior = posterior_of(fit)
        draws = posterior.draws()
        assert draws and all(v.ndim == 2 for v in draws.values())
        one = compute if not isinstance(fit, bl.Fit) else fit
        joint, each = posterior.density(one.bound.rows, np.random.default_rng(0))
        assert each.shape[-1] == len(one.bound.rows) and len(joint) == len(each)
        assert np.isfinite(joint).all()


# ---- contrasts


def test_a_target_and_itself(compute):
    same = {"C": [1e23]}
    curve = bl.contrast(compute, same, same, kind="curve")
    np.testing.assert_allclose(curve["upper"], 0.0, atol=1e-6)
    law = bl.contrast(compute, same, same, kind="law")
    assert law["upper"].item() == law["lower"].item() == law["p_less"].item() == 0.0
    run = bl.contrast(compute, same, same)
    assert run["p_less"].item() == pytest.approx(0.5, abs=0.1) and run["upper"] > 0 > run["lower"]
    noise = np.sqrt(2) * compute.draws["sigma"].median().item() * curve["median_a"].item()
    assert (run["upper"] - run["lower"]).item() == pytest.approx(2 * 1.645 * noise, rel=0.5)


def test_what_is_shared_cancels(compute):
    near = bl.contrast(compute, {"C": [1e24]}, {"C": [1.05e24]}, kind="curve")
    fc = bl.forecast(compute, {"C": [1e24, 1.05e24]}).sel(kind="curve")
    alone = np.hypot(*(fc["upper"] - fc["lower"]).values)
    assert (near["upper"] - near["lower"]).item() < 0.1 * alone
    assert near["p_less"].item() < 0.3  # more compute, less −log pass@k


def test_sides_go_together(compute):
    many = bl.contrast(compute, {"C": [1e22, 1e23, 1e24]}, {"C": [1e24]})
    assert many.sizes == {"target": 3}
    assert set(many.data_vars) == {"mean", "median", "lower", "upper", "p_less", "median_a", "median_b"}
    assert many["p_less"].attrs["units"] == "share" and many["median"].attrs["units"] == "nat"
    checks = json.loads(many.attrs["checks"])
    assert [c["message"][:3] for c in checks] == ["a: ", "b: "]


def test_schedules_that_branch_share_their_trunk(curves):
    """Same rates up to the last few hundred steps: the same run up to there; a rate that differs at once is another."""
    other = LATE.replace("peak=2e-4", "peak=2.0000001e-4")
    width = {
        name: ((found := bl.contrast(curves, EARLY, b, kind="curve"))["upper"] - found["lower"]).item()
        for name, b in (("branch", LATE), ("apart", other), ("itself", EARLY))
    }
    assert width["itself"] == pytest.approx(0.0, abs=1e-9)
    assert 0 < width["branch"] < 0.8 * width["apart"]
    medians = [bl.contrast(curves, EARLY, b)["median"].item() for b in (LATE, other)]
    assert medians[0] == pytest.approx(medians[1], abs=0.01)


def test_the_law_alone_tells_no_group_from_another(families):
    with pytest.raises(
        bl.InputError, match=r"contrast: kind 'law' is the formula .* does not tell one family"
    ):
        bl.contrast(families, {"C": [1e23], "family": ["b"]}, {"C": [1e23], "family": ["a"]}, kind="law")
    same = {"C": [1e23], "family": ["a"]}
    assert bl.contrast(families, same, same, kind="law")["p_less"].item() == 0.0


def test_an_error_says_of_which_side_it_is(compute):
    with pytest.raises(bl.InputError, match="contrast, b: targets: unknown input 'D'"):
        bl.contrast(compute, {"C": [1e23]}, {"D": [1e24]})


def test_groups_are_targets_that_name_them(families):
    found = bl.contrast(families, {"C": [1e23], "family": ["b"]}, {"C": [1e23], "family": ["a"]})
    law = bl.contrast(families, {"C": [1e23], "family": ["b"]}, {"C": [1e23], "family": ["a"]}, kind="curve")
    assert law["p_less"].item() == 0.0 and law["median"].item() > 0 and found["median"].item() > 0
    one = bl.contrast(families, {"C": [1e23]}, {"C": [1e23]}, kind="curve", new_group=True)
    assert one["upper"].item() == 0.0  # the same new group on both sides


@pytest.mark.parametrize(
    ("a", "b", "more", "told"),
    [
        ("cosine(peak=1, total=10)", {"C": [1e23]}, {}, "contrast, a: found"),
        ({"C": [1e23]}, 3, {}, "contrast, b: found 3"),
        ({"C": [1e23, 1e24]}, {"C": [1e22, 1e23, 1e24]}, {}, "a has 2 targets and b 3"),
        ({"C": [1e23]}, {"C": [-1.0]}, {}, "allowed: numbers greater than 0"),
        ({"C": [1e23]}, {"C": [1e24]}, {"kind": "runs"}, "kind: "),
        ({"C": [1e23]}, {"C": [1e24]}, {"prob": 1.5}, "prob"),
        ({"C": [1e23]}, {"D": [1e24]}, {}, "unknown input 'D'"),
        ({"C": [1e23]}, {"C": [1e24]}, {"new_group": True}, "pools no parameter over groups"),
    ],
)
def test_sides_that_do_not_fit_are_refused(compute, a, b, more, told):
    with pytest.raises(bl.InputError) as error:
        bl.contrast(compute, a, b, **more)
    assert told in str(error.value)


def test_schedules_are_asked_for(curves, families):
    with pytest.raises(bl.InputError, match=r"contrast, b: found .* allowed: a schedule"):
        bl.contrast(curves, EARLY, {"C": [1e23]})
    with pytest.raises(bl.InputError, match="only one side names 'family'"):
        bl.contrast(families, {"C": [1e23], "family": ["a"]}, {"C": [1e23]}, new_group=True)
    bare = bl.fit(*noiseless("power", noise=0.02), "map", bootstrap=0)
    with pytest.raises(bl.InputError, match="no bootstrap"):
        bl.contrast(bare, {"x": [1e6]}, {"x": [1e7]})


def test_one_run_is_of_one_group():
    """Pooled over runs, a schedule and its continuation are one run: the same group, whatever its deviation."""
    spec = bl.change(bl.load_model("annealing"), pool={"level": "run"})
    fit = pooled_handmade(spec, pooled_curves(spec), {"level": defaultdict(float)})
    same = bl.contrast(fit, EARLY, EARLY, kind="curve")
    assert same["lower"].item() == pytest.approx(0, abs=1e-9) == same["upper"].item()
    longer = [CONSTANT.format(total=total) for total in (8000, 9000)]
    apart = [
        bl.contrast(fit, a, b, kind="curve")
        for a, b in (longer, (longer[0], LATE.replace("peak=2e-4", "peak=3e-4")))
    ]
    widths = [(found["upper"] - found["lower"]).item() for found in apart]
    assert widths[0] < 0.1 and widths[1] > 0.5


def test_two_runs_of_unnamed_groups_are_two_groups():
    spec = bl.change(bl.load_model("annealing"), pool={"level": ["run", "model_size"]})
    fit = pooled_handmade(spec, pooled_curves(spec), {"level": defaultdict(float)})
    sides = CONSTANT.format(total=8000), EARLY
    named = [{"schedule": text, "model_size": "1B"} for text in sides]
    found = [bl.contrast(fit, *pair, kind="curve") for pair in (sides, named)]
    np.testing.assert_allclose(*(one["upper"] - one["lower"] for one in found), rtol=0.1)


def test_a_trained_run_may_have_any_name(curves):
    """A run of the table that is called as a side would be does not lend it its own curve."""
    first = str(curves.data["run"].values[0])
    names = np.where(curves.data["run"].values == first, "(contrast: b)", curves.data["run"].values)
    odd = handmade("annealing", data=curves.data.assign_coords(run=("obs", names.astype(str))))
    sides = CONSTANT.format(total=8000), CONSTANT.format(total=16000)
    assert bl.contrast(odd, *sides).equals(bl.contrast(curves, *sides))


def test_the_mean_is_that_of_forecasts(compute):
    """A run's output, exp of a heavy-tailed number, has no mean: one draw would decide."""
    at = {"C": [1e23, 1e24]}
    mean = bl.forecast(compute, at, draws=True)["mean"].sel(kind="run").values
    for seed in range(3):
        found = bl.contrast(compute, {"C": at["C"][:1]}, {"C": at["C"][1:]}, seed=seed)["mean"].item()
        assert found == pytest.approx(mean[0] - mean[1], abs=0.2)


def test_a_side_may_be_a_table(compute):
    sides = {"C": [1e23]}, {"C": [1e24]}
    assert bl.contrast(compute, *map(pd.DataFrame, sides)).equals(bl.contrast(compute, *sides))


def test_an_interval_needs_more_draws_than_lack_a_value(compute):
    groups = {n: node.to_dataset() for n, node in compute.tree.children.items() if not n.endswith("_data")}
    floor = groups["posterior"]["floor"].values.copy()
    floor[0, 0] = np.nan
    groups["posterior"]["floor"] = ("chain", "draw"), floor
    lacking = make_fit(compute.bound, "nuts", {}, groups)
    for prob, level in ((0.9, "warn"), (0.999, "fail")):
        checks = json.loads(bl.contrast(lacking, {"C": [1e23]}, {"C": [1e24]}, prob=prob).attrs["checks"])
        assert [c["level"] for c in checks if c["name"] == "finite"] == [level]


def test_runs_that_warm_up_otherwise_are_two(curves):
    """The rates of hold=true are no warm-up's: runs that warmed up longer share no step."""
    sides = [CONSTANT.format(total=8000).replace("warmup=500", f"warmup={w}") for w in (500, 1000)]
    found = bl.contrast(curves, *sides, kind="curve")
    assert found["upper"] > 0.001 and found["lower"] < -0.001


def test_step_zero_is_no_branch(curves):
    """Without warm-up both start at one rate, and at step zero nothing is trained yet."""
    found = bl.contrast(curves, "constant(peak=2e-4, total=8000)", "cosine(peak=2e-4, end=0, total=8000)")
    assert found["median"] < 0


def test_a_new_group_is_none_that_was_seen(families):
    """Whatever groups are called."""
    names = {"a": "a", "b": "a new one", "c": "c"}
    labels = np.array([names[one] for one in families.data["family"].values])
    groups = {n: node.to_dataset() for n, node in families.tree.children.items() if not n.endswith("_data")}
    odd = make_fit(
        bind(families.spec, families.data.assign_coords(family=("obs", labels))), "nuts", {}, groups
    )
    sides = {"C": [1e23]}, {"C": [1e24]}
    found = [bl.contrast(fit, *sides, kind="curve", new_group=True) for fit in (odd, families)]
    assert found[0].equals(found[1])


# ---- groups


@pytest.mark.parametrize("parameter", ["level", "C0", "E0"])
def test_each_group_has_its_own_value(families, parameter):
    table = bl.groups(families, parameter, prob=0.8)
    assert table.index.tolist() == ["a", "b", "c"] and table["rows"].tolist() == [14, 13, 13]
    assert (table["lower"] < table["median"]).all() and (table["median"] < table["upper"]).all()
    assert table.loc["b", "median"] / table.loc["a", "median"] == pytest.approx(np.exp(0.4), rel=0.02)
    assert table.loc["b", "> a"] == 1.0 and table.loc["a", "> b"] == 0.0 and np.isnan(table.loc["a", "> a"])
    assert table.loc["b", "> c"] + table.loc["c", "> b"] == pytest.approx(1.0)
    assert table.attrs["prob"] == 0.8


def test_a_group_is_what_the_law_takes_for_it(families):
    """The level of a group at the reference is the law there."""
    reference = families.spec.inputs["C"].reference
    law = bl.forecast(families, {"C": [reference] * 3, "family": ["a", "b", "c"]}).sel(kind="curve")
    np.testing.assert_allclose(bl.groups(families, "level")["median"], law["median"], rtol=1e-6)


@pytest.mark.parametrize(
    ("parameter", "told"),
    [("alpha", "'alpha' is the same in all groups; allowed: level"), ("levle", "unknown parameter 'levle'")],
)
def test_what_has_no_groups_is_refused(families, compute, parameter, told):
    with pytest.raises(bl.InputError, match=told):
        bl.groups(families, parameter)
    with pytest.raises(bl.InputError, match="pools no parameter over groups"):
        bl.groups(compute, "level")


def test_draws_without_a_value_compare_nothing(families, monkeypatch):
    values = np.tile([1.0, 2.0, 3.0], (100, 1)) + 0.01 * np.arange(100)[:, None]
    values[:10, 2] = np.nan
    monkeypatch.setattr("bayeslaw.assess.groups._own_values", lambda *_: values)
    table = bl.groups(families, "level")
    assert table.loc["c", "> a"] == 1.0 and np.isfinite(table["median"]).all()
    monkeypatch.setattr("bayeslaw.assess.groups._own_values", lambda *_: np.full((5, 3), np.nan))
    with pytest.raises(bl.InputError, match="'level' has no finite value in any draw"):
        bl.groups(families, "level")


# ---- the command line


def test_command_lines(compute, curves, families, tmp_path):
    paths = {n: str(f.save(tmp_path / f"{n}.nc")) for n, f in
             (("compute", compute), ("curves", curves), ("families", families))}  # fmt: skip
    call = CliRunner().invoke

    def said(*arguments, code=0):
        done = call(main, list(arguments))
        assert done.exit_code == code, done.output
        return done.output

    out = str(tmp_path / "out.csv")
    told = said("contrast", paths["compute"], "--a", "C=1e23", "--b", "C=1e24", "-o", out)
    assert "P(a < b)" in told and "90 % interval" in told
    assert "p_less" in pd.read_csv(out)
    assert "a - b" in said("contrast", paths["curves"], "--a", EARLY, "--b", LATE, "--kind", "curve")
    both = ("--a", "C=1e23", "--a", "family=a", "--b", "C=1e23", "--b", "family=b")
    row = said("contrast", paths["families"], *both, "--kind", "curve").splitlines()[2].split()
    assert float(row[-1]) == 1.0  # P(a < b)
    labelled = ("--a", "C=1e23", "--a", "family=a (base)", "--b", "C=1e23", "--b", "family=b", "--new-group")
    assert "P(a < b)" in said("contrast", paths["families"], *labelled)  # no schedule
    assert "--b: found 'x'" in said("contrast", paths["compute"], "--a", "C=1e23", "--b", "C=x", code=2)
    assert "each group" in said("groups", paths["families"], "C0", "-o", str(tmp_path / "groups.csv"))
    assert pd.read_csv(tmp_path / "groups.csv")["group"].tolist() == ["a", "b", "c"]
    joint = str(tmp_path / "draws.nc")
    asked = ("--at", "C=1e23,1e24", "--draws", joint, "-o", str(tmp_path / "f.csv"))
    said(
        "forecast", paths["compute"], *asked, code=1
    )  # few draws: the sampler's checks fail, and all is written
    assert xr.load_dataset(joint, engine="h5netcdf")["draws"].dims == ("draw", "target", "kind")
    assert len(pd.read_csv(tmp_path / "f.csv")) == 6
    said("contrast", paths["compute"], "--a", "cosine(peak=1)", "--b", "C=1e24", code=2)
    said("groups", paths["compute"], "level", code=2)
