"""The command line: exit codes, messages, files written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import time

import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import PUBLISHED_SCHEDULES

import bayeslaw as bl
from bayeslaw.cli.main import main


def call(*arguments: object):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def table(tmp_path):
    """A table that any compute-law fit accepts."""
    compute = [10.0**e for e in range(18, 24)]
    y = [9.0, 7.1, 5.9, 4.9, 4.1, 3.6]
    path = tmp_path / "runs.csv"
    pd.DataFrame({"model": list("abcdef"), "compute": compute, "neg_log_pass_at_k": y}).to_csv(
        path, index=False
    )
    return path


def test_help_and_import_are_instant() -> None:
    for command in (["-m", "bayeslaw", "--help"], ["-c", "import bayeslaw"]):
        times = []
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            times.append(time.perf_counter() - started)
        assert min(times) < 0.5, command


def test_models_lists_the_shipped_laws() -> None:
    result = call("models")
    assert result.exit_code == 0
    assert all(name in result.output for name in bl.models()["name"])


def test_fit_forecast_and_figures(table, tmp_path) -> None:
    out = tmp_path / "fit.nc"
    result = call(
        "fit",
        "compute",
        table,
        "-o",
        out,
        "--method",
        "map",
        "--bootstrap",
        50,
        "--plots",
        tmp_path / "figures",
    )
    assert result.exit_code == 0, result.output
    assert "starts reached the optimum" in result.output
    assert list((tmp_path / "figures").glob("*.png"))
    result = call(
        "forecast", out, "--at", "C=1e24,1e25", "-o", tmp_path / "fc.csv", "--plot", tmp_path / "fc.png"
    )
    assert result.exit_code == 0, result.output
    assert "90 % interval of a run" in result.output
    assert "orders of magnitude beyond the data" in result.output
    assert len(pd.read_csv(tmp_path / "fc.csv")) == 6
    assert (tmp_path / "fc.png").stat().st_size > 1000


def test_saved_posterior_forecasts(simulated_fit, tmp_path) -> None:
    path = simulated_fit.save(tmp_path / "fit.nc")
    result = call("forecast", path, "--at", "params=1e11", "--at", "tokens=1e13")
    assert result.exit_code == 0, result.output


def test_annealing_from_the_command_line(tmp_path) -> None:
    from pathlib import Path

    curves = Path(bl.__file__).parent / "example_data" / "annealing_curves_20k.csv"
    schedules = [a for run, text in PUBLISHED_SCHEDULES.items() for a in ("--schedule", f"{run}={text}")]
    out = tmp_path / "a.nc"
    result = call("fit", "annealing", curves, *schedules, "--method", "map", "--bootstrap", 20, "-o", out)
    assert result.exit_code == 0, result.output
    wsd = "wsd(peak=2e-4, end=0, warmup=500, stable=16000, total=20000, hold=true)"
    result = call("forecast", out, "--schedule", wsd, "--plot", tmp_path / "a.png")
    assert result.exit_code == 0, result.output


def test_user_law_fits_and_forecasts(table, tmp_path) -> None:
    law = tmp_path / "mine.toml"
    law.write_text(
        """
        law = "a - b * log(C / ref_C)"
        [inputs]
        C = { column = "compute", meaning = "compute", unit = "FLOP", reference = "geometric-mean" }
        [output]
        name = "neg_log_pass_at_k"
        unit = "nat"
        scale = "identity"
        [parameters]
        a = { meaning = "level", unit = "nat", support = "real", prior_90 = [0, 20] }
        b = { meaning = "slope", unit = "nat", support = "positive", prior_90 = [0.05, 3] }
        [likelihood]
        family = "StudentT"
        sigma = { prior_90 = [0.02, 2] }
        nu = { prior_90 = [4, 60] }
        """
    )
    out = tmp_path / "fit.nc"
    assert call("fit", law, table, "-o", out).exit_code in (0, 1)
    assert bl.load_fit(out).method == "nuts"
    assert call("forecast", out, "--at", "C=1e24").exit_code in (0, 1)


def test_failed_sampler_check_exits_one_and_still_writes(table, tmp_path) -> None:
    out = tmp_path / "fit.nc"
    result = call("fit", "compute", table, "-o", out, "--draws", 20, "--tune", 50, "--chains", 2)
    assert result.exit_code == 1
    assert "[fail]" in result.output
    assert bl.load_fit(out)
