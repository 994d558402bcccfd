"""The command line when something is wrong: nothing replaced in silence, one line for the unexpected, its exit code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import noiseless
from malformed_inputs import FIT, FORECAST, fill
from matplotlib.figure import Figure

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.cli.main import COMMANDS, main
from bayeslaw.core import progress
from bayeslaw.core.files import check_place, write_study
from bayeslaw.core.outputs import check_outputs
from bayeslaw.studies.engine import Outcome


def call(*arguments: object):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def point():
    spec, data = noiseless("power", noise=0.02)
    return bl.fit(spec, data, "map", bootstrap=8)


@pytest.fixture
def place(point, tmp_path, monkeypatch):
    """A folder, in which one works, with one of everything that a command reads."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, point)
    return tmp_path


PLACES = [
    ("locked.nc", "it is read-only"), ("pipe.nc", "it is a pipe"), ("link.csv", "it is a symbolic link"),
    ("folder", "it is a folder"), ("/dev/null", "it is a device"), ("socket.nc", "it is a socket"),
    ("", "the path of a file"), (None, "found None"), (3, "found 3"), ("a\0b", "the path of a file"),
    ("x" * 300, "cannot be written"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "message"), PLACES, ids=[repr(p[0])[:12] for p in PLACES])
@pytest.mark.parametrize("write", ["fit", "report", "figure", "study", "place"])
def test_no_function_writes_over_what_is_no_file(write, path, message, place, point):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket.nc")
    figure = Figure()
    writers = {
        "fit": point.save,
        "report": lambda p: bl.report(point, p),
        "figure": lambda p: plots.save(figure, p),
        "study": lambda p: write_study(point.data, p, str),
        "place": check_place,
    }
    if write == "figure":
        message = f"({message}|a figure's name ends in)"
    with listening, pytest.raises(bl.InputError, match=message):
        writers[write](path)
    assert Path("locked.nc").read_text() == "mine" and Path("link.csv").is_symlink()
    assert not list(place.glob(".*"))


def test_outputs_are_seen_by_one_function(place):
    check_outputs([("-o", Path("new.csv")), ("--plot", None)], [("TABLE", Path("t.csv")), ("--join", None)])
    check_outputs([("-o", Path("folder/t.csv"))], [("TABLE", Path("t.csv")), ("FIT", Path("gone.nc"))])
    assert call(*FIT, "-o", "f.nc").exit_code == 0, "an older result may be replaced"


# ---- the unexpected


class Broken(BaseException):
    """As the sampler's panic: no Exception."""


UNEXPECTED = [
    (FIT, "bayeslaw.law.catalogue.load_model", ZeroDivisionError("by\nzero"), "while reading t.csv: ZeroDivisionError: by zero"),
    (FIT, "bayeslaw.inference.fitting.fit", RuntimeError(""), "while fitting: RuntimeError; nothing was written"),
    (FIT, "bayeslaw.inference.fitting.fit", RecursionError("deep"), "while fitting: RecursionError: deep"),
    (FIT, "bayeslaw.inference.fitting.fit", Broken("panic"), "while fitting: Broken: panic"),
    (FIT, "bayeslaw.inference.fitting.fit", MemoryError(), "while fitting: the memory is full; nothing was written; take fewer draws"),
    (FIT, "bayeslaw.inference.fit.Fit.save", OSError(5, "I/O error"), "while writing new.nc: OSError"),
    (FIT, "bayeslaw.assess.checks.checks", KeyError("x"), "while checking the fit: KeyError: 'x'; written: new.nc"),
    ((*FIT, "--plots", "figures"), "bayeslaw.plots.saving.save_all", ValueError("bad"), "while drawing: ValueError: bad; written: new.nc"),
    (FORECAST, "bayeslaw.forecasts.forecast.forecast", TypeError("t"), "while forecasting: TypeError: t"),
    (("report", "f.nc"), "bayeslaw.reports.build.reported", TypeError("t"), "while writing new.nc: TypeError: t"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "name", "error", "message"), UNEXPECTED, ids=[u[3] for u in UNEXPECTED]
)
def test_the_unexpected_is_one_line_that_names_the_stage(arguments, name, error, message, place, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(name, fail)
    result = call(*arguments, "-o", "new.nc")
    assert result.exit_code == 3
    last = result.stderr.strip().splitlines()
    assert len(last) == 1 and "Traceback" not in result.output
    assert f"unexpected error {message}" in last[0]
    if not isinstance(error, MemoryError):
        assert last[0].endswith("run the command again with --debug for the traceback.")
    shown = call(*arguments, "-o", "new.nc", "--debug")
    assert shown.exit_code == 3 and "Traceback" in shown.stderr and "in fail" in shown.stderr
    assert call("--debug", *arguments, "-o", "new.nc").stderr.count("Traceback") >= 1


def test_every_command_takes_debug():
    for command in COMMANDS:
        assert "--debug" in call(command.name, "--help").output


def test_clicks_own_errors_stay_two():
    for arguments in (("fit",), ("fitt",), ("fit", "a", "b", "--draws", "x", "-o", "c"), ("--nothing",)):
        result = call(*arguments)
        assert result.exit_code == 2 and "Usage" in result.output


def test_a_key_stops_it_and_it_says_what_is_there(place, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bayeslaw.plots.saving.save_all", stop)
    result = call(*FIT, "-o", "new.nc", "--plots", "figures")
    assert result.exit_code == 130
    assert result.stderr.strip() == "bayeslaw: stopped while drawing; written: new.nc."
    monkeypatch.setattr("bayeslaw.inference.fitting.fit", stop)
    assert (
        call(*FIT, "-o", "other.nc").stderr.strip() == "bayeslaw: stopped while fitting; nothing was written."
    )


def test_nobody_reads_on_and_all_is_written(place):
    """As in `bayeslaw forecast … -o fc.csv | head -1`, whose head has what it wants and goes."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "bayeslaw", *FORECAST, "-o", "fc.csv"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 0 and "rror" not in done.stderr
    assert len(pd.read_csv("fc.csv")) == 3


def test_libraries_warnings_stay_out_of_a_users_way(place):
    code = (
        "import sys, warnings, bayeslaw.cli.main as cli, bayeslaw.law.catalogue as c\n"
        "old = c.models\n"
        "c.models = lambda: (warnings.warn('noise'), old())[1]\n"
        "sys.argv = ['bayeslaw', 'models']\n"
        "cli.run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and "compute" in done.stdout
    loud = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True)
    assert "noise" in loud.stderr


# ---- what a file is


def test_a_study_of_another_kind_is_named(place, point):
    spec, data = point.spec, point.data
    bt = bl.backtest(spec, data, "x", methods="point", bootstrap=20, progress=False)
    bt.to_netcdf("bt.nc", engine="h5netcdf")
    Path("st.csv").write_text("parameter,verdict\n")
    bl.forecast(point, {"x": [1.0]}).to_netcdf("fc.nc", engine="h5netcdf")
    for option, path, message in (
        (
            "stability",
            "f.nc",
            "f.nc: is a fit, allowed: a result of stability; `bayeslaw stability … -o FILE.nc`",
        ),
        ("stability", "bt.nc", "bt.nc: found a result of backtest, allowed: what stability(…) returned"),
        ("backtest", "fc.nc", "fc.nc: found a result of forecast, allowed: what backtest(…) returned"),
        ("stability", "st.csv", "st.csv: cannot be read as netCDF"),
        ("backtest", "gone.nc", "gone.nc: no such file"),
    ):
        result = call("report", "f.nc", f"--{option}", path, "-o", "r.html")
        assert result.exit_code == 2 and message in result.stderr, result.output
        assert len(result.stderr.strip().splitlines()) == 1
    with pytest.raises(bl.InputError, match="report, stability, power: found a result of backtest"):
        bl.report(point, "r.html", stability=bt)
    assert not Path("r.html").exists()


# ---- progress


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self, ends: float) -> None:
        self.now, self.ends = 100.0, 100.0 + ends

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now = min(self.now + seconds, self.ends)
        return self.now >= self.ends


@pytest.fixture
def unseen(monkeypatch):
    monkeypatch.setattr(progress, "visible", lambda: False)


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(9.9, []), (10, []), (25, ["sampling: 3 of 12, 10 s", "sampling: 3 of 12, 20 s"])]
)
def test_a_line_every_ten_seconds_and_none_before(seconds, wanted, unseen, monkeypatch):
    monkeypatch.setattr(progress, "_speak", lambda wait: None)
    clock = Clock(seconds)
    with progress.work("the whole"), progress.work("sampling", 12) as on_step:
        on_step(3)
        assert list(progress.lines(clock.wait, clock)) == wanted
    assert list(progress.lines(Clock(25).wait)) == [], "nothing is going on"


def test_it_speaks_of_the_part_that_is_going_on(unseen, monkeypatch, capsys):
    waits = iter([False, False, False, True])
    started, said = threading.Event(), threading.Event()

    def lines(wait):
        started.wait(5)
        yield from original(lambda _: next(waits), lambda: 0.0)
        said.set()

    original = progress.lines
    monkeypatch.setattr(progress, "lines", lines)
    with progress.work("back-test", 1234) as on_step, progress.work("silent", 9, progress=False) as inner:
        inner(5)
        on_step(1000)
        started.set()
        assert said.wait(5)
    assert capsys.readouterr().err == 3 * "back-test: 1,000 of 1,234, 0 s\n"


def test_where_somebody_watches_there_is_a_bar_and_no_line(monkeypatch, capsys):
    monkeypatch.setattr(progress, "visible", lambda: True)
    monkeypatch.setattr(progress, "_lines", lambda _: pytest.fail("a line"))
    with progress.work("fit", 5) as on_step:
        on_step(2)
    monkeypatch.setattr(progress, "visible", lambda: False)
    with progress.work("fit", 5, progress=True), progress.work("fit", 5, progress=False):
        pass


def test_long_fits_speak_in_a_log(place):
    """Of a process whose standard error is a file, with ten seconds made short."""
    code = (
        "import bayeslaw.core.progress as p; p.EVERY = 0.02\n"
        "import sys; sys.argv = ['bayeslaw'] + sys.argv[1:]\n"
        "from bayeslaw.cli.main import run; run()\n"
    )
    arguments = (*FIT[:-1], "3000", "-o", "new.nc")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert any(line.startswith("loading, ") for line in lines), lines
    assert any(line.startswith("bootstrap: ") and " of 3,000, " in line for line in lines), lines


# ---- new options


def test_options_reach_the_law(place, monkeypatch):
    seen = {}

    def fit(spec, data, method, **settings):
        seen.update(spec=spec, settings=settings)
        raise bl.InputError("far enough")

    monkeypatch.setattr("bayeslaw.inference.fitting.fit", fit)
    changes = []
    monkeypatch.setattr("bayeslaw.law.catalogue.change", lambda spec, **given: changes.append(given) or spec)
    call(
        "fit",
        "power",
        "t.csv",
        "-o",
        "n.nc",
        "--pool",
        "level=model",
        "--pool",
        "floor=a, b",
        "--likelihood",
        "normal",
    )
    assert changes == [{"pool": {"level": "model", "floor": ["a", "b"]}, "likelihood": "normal"}]
    assert seen["spec"].name == "power"


def test_a_likelihood_on_the_command_line(place):
    result = call(*FIT, "-o", "new.nc", "--likelihood", "normal", "--discrepancy", "none")
    assert result.exit_code == 0, result.output
    assert bl.load_fit("new.nc").spec.family == "Normal"
    result = call(*FIT, "-o", "new.nc", "--likelihood", "beta-binomial")
    assert result.exit_code == 2 and "did you mean 'Binomial'?" in result.stderr


def test_a_forecast_takes_groups_and_thinner_steps(place, monkeypatch):
    bl.fit(*noiseless("annealing"), "map", bootstrap=4).save("a.nc")
    schedule = "constant(peak=2e-4, warmup=500, total=20000)"
    result = call("forecast", "a.nc", "--schedule", schedule, "--every", 4000, "-o", "fc.csv")
    assert result.exit_code == 0, result.output
    assert pd.read_csv("fc.csv")["step"].unique().tolist() == [500, 4500, 8500, 12500, 16500, 20000]
    asked = {}

    def forecast(fit, **given):
        asked.update(given)
        raise bl.InputError("far enough")

    monkeypatch.setattr("bayeslaw.forecasts.forecast.forecast", forecast)
    call("forecast", "a.nc", "--schedule", schedule, "--group", "model_size=100M", "--new-group")
    assert asked == {
        "schedule": schedule, "prob": 0.9, "new_group": True, "targets": None, "seed": 0, "draws": False,
        "group": {"model_size": "100M"},
    }  # fmt: skip
    asked.clear()
    call("forecast", "a.nc", "--schedule", schedule)
    assert asked["group"] is None and "steps" not in asked


def test_stack_prints_weights_and_forecasts(place, monkeypatch):
    from conftest import handmade

    for name in ("a", "b"):
        handmade("power", bl.change(bl.load_model("power"), discrepancy=None)).save(f"{name}.nc")
    scores = iter([(-1.0, ""), (-2.0, ""), (-3.0, ""), (-2.0, "ess-bulk")] * 5)
    monkeypatch.setattr("bayeslaw.studies.engine.attempt", lambda *_: Outcome(next(scores)))
    result = call("stack", "a.nc", "b.nc", "--at", "x=1e7", "-o", "fc.csv", "--plot", "fc.png")
    assert result.exit_code in (0, 1), result.output
    table = result.output
    assert "weights of 2 law(s)" in table and "law_share" in pd.read_csv("fc.csv")
    assert "90 % interval of a run" in table and "wrote fc.png" in table
    assert "[warn] a, " in table
    assert Path("fc.png").stat().st_size > 1000
    scores = iter([(-1.0, "")] * 20)
    alone = call("stack", "a.nc", "b.nc")
    assert "weights of 2 law(s)" in alone.output and "interval of a run" not in alone.output


def test_stability_by_k_is_told_written_and_drawn(place, monkeypatch):
    import xarray as xr

    names = ["alpha", "value"]
    shape = ("k", "parameter"), np.ones((2, 2))
    study = xr.Dataset(
        dict.fromkeys(("median", "lower", "upper", "sensitivity", "stable_orders", "drift_at", "resolved_from"), shape)
        | {"verdict": (("k", "parameter"), np.full((2, 2), "stable", object)), "unit": ("parameter", np.array(["1", "$x"], object))}
        | {n: ("k", np.ones(2)) for n in ("rows", "orders", "law_orders", "early_orders")}
        | {"law_verdict": ("k", np.array(["one", "two"], object)), "failed": ("k", [0, 2])},
        {"k": [1, 16], "parameter": names},
        {"model": "compute", "title": "$t_$", "along": "compute", "output": "y", "prob": 0.9},
    )  # fmt: skip
    asked = {}

    def run(spec, table, k, **given):
        asked.update(k=k, **given)
        return study

    monkeypatch.setattr("bayeslaw.studies.stability.over_k.stability_by_k", run)
    result = call(
        "stability", "compute", "t.csv", "--by-k", "1,16", "--where", "x>1", "-o", "k.csv", "--plot", "k.png"
    )
    assert result.exit_code == 1, "two fits are not clean"
    assert asked["k"] == [1, 16] and asked["read"]["where"] == ("x>1",) and asked["every"] == 0.5
    assert "k = 16: two" in result.output and "[fail] k = 16: 2 fit(s)" in result.output
    assert len(pd.read_csv("k.csv")) == 4 and Path("k.png").stat().st_size > 1000
    assert call("stability", "compute", "t.csv", "--by-k", "1,16", "-o", "k.nc").exit_code == 1
    assert xr.open_dataset("k.nc", engine="h5netcdf").sizes["k"] == 2
