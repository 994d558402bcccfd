"""Forecast from a fit: the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayeslaw.cli.options import FILE, forecast_options, target_options
from bayeslaw.cli.output import exit_by, say, settle_outputs, stage, writing, wrote
from bayeslaw.cli.values import forecast_arguments

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.core.check import Check
    from bayeslaw.forecasts.mixture import Mixture
    from bayeslaw.inference.fit import Fit


@click.command()
@click.argument("fitted", metavar="FIT", type=FILE)
@target_options
@forecast_options
@click.option("-o", "--output", type=FILE, help="Write all rows and kinds as CSV.")
@click.option(
    "--draws", type=FILE, help="Write joint draws of all rows and kinds (.csv or .nc); the summary is theirs."
)
@click.option("--plot", type=FILE, help="Draw the forecast into this file (.png, .svg, .pdf).")
@click.option("--seed", default=0, show_default=True)
def forecast(
    fitted: Path, output: Path | None, draws: Path | None, plot: Path | None, seed: int, **options: Any
) -> None:
    """Forecast from FIT at targets, or along a schedule that was never run."""
    settle_outputs({"FIT": fitted}, output=output, study=draws, plot=plot)
    with stage("loading"):
        from bayeslaw.assess.checks import checks, worst_level
        from bayeslaw.forecasts.forecast import forecast as run
        from bayeslaw.inference.loading import load_fit
    with stage(f"reading {fitted}"):
        loaded = load_fit(fitted)
    with stage("forecasting"):
        asked = forecast_arguments(loaded, options)
        result = run(loaded, seed=seed, draws=draws is not None, **asked)
    with stage("checking the fit"):
        found = checks(loaded)
    told = tell(loaded, result.drop_vars("draws", errors="ignore"), found, output, plot)
    if draws is not None:
        from bayeslaw.core.files import write_study

        joint = result[["draws"]]
        with writing(draws):
            write_study(joint, draws, lambda: joint.to_dataframe().to_csv())
        wrote(draws)
    exit_by(worst_level(told) == "fail")


def tell(
    whole: Fit | Mixture, result: xr.Dataset, found: list[Check], output: Path | None, plot: Path | None
) -> list[Check]:
    """Print a forecast with what was checked, write it, draw it; return the checks that were printed."""
    from bayeslaw.core.check import from_json
    from bayeslaw.core.files import write_text
    from bayeslaw.reports.terminal.fits import checks_text, forecast_text

    say(forecast_text(result))
    told = [*from_json(result.attrs["checks"]), *(c for c in found if c.level != "ok")]
    say("\n" + checks_text(told))
    if output is not None:
        with writing(output):
            write_text(output, result.to_dataframe().to_csv())
        wrote(output)
    if plot is not None:
        with stage("drawing"):
            from bayeslaw.plots.forecast import plot_forecast
            from bayeslaw.plots.saving import save

            save(plot_forecast(whole, result), plot)
        wrote(plot)
    return told
