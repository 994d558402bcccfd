"""The commands of one fit: make it, forecast from it; and of several: a weighted forecast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayeslaw.cli.options import (
    FILE,
    comma_separated,
    forecast_arguments,
    forecast_options,
    law_and_rows,
    reading_options,
    sampling_options,
    target_options,
)
from bayeslaw.cli.output import exit_by, model_file, say, settle_outputs, stage, writing, wrote
from bayeslaw.core.errors import InputError
from bayeslaw.core.outputs import folder_outputs

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.core.check import Check
    from bayeslaw.forecasts.mixture import Mixture
    from bayeslaw.inference.fit import Fit


@click.command()
@reading_options
@click.option("-o", "--output", required=True, type=FILE, help="Where to write the fit (netCDF).")
@click.option(
    "--method",
    default="nuts",
    show_default=True,
    help="nuts: posterior; map: Huber/L-BFGS point fit with bootstrap.",
)
@sampling_options
@click.option(
    "--target-accept", type=float, help="NUTS' target acceptance; by default 0.95, 0.92 with a discrepancy."
)
@click.option("--bootstrap", default=1000, show_default=True, help="Resamples for --method map.")
@click.option("--plots", type=FILE, help="A folder for the figures.")
def fit(model: str, table: Path, output: Path, method: str, plots: Path | None, **options: Any) -> None:
    """Fit MODEL (a shipped name or a .toml file) to TABLE (CSV or Parquet)."""
    read = {"MODEL": model_file(model), "TABLE": table, "--join": options["join"]}
    settle_outputs(read, output=output, plots=_figures_of_a_fit(plots))
    with stage("loading"):
        from bayeslaw.inference.fitting import fit as run
    spec, data = law_and_rows(model, table, options)
    settings = {n: options[n] for n in ("draws", "tune", "chains", "seed", "target_accept", "bootstrap")}
    with stage("fitting"):
        fitted = run(spec, data, method, **settings)
    with writing(output):
        fitted.save(output)
    _finish(fitted, output, plots)


def _figures_of_a_fit(folder: Path | None) -> list[tuple[str, Path | None]]:
    if folder is None:
        return []
    from bayeslaw.plots.saving import FILES

    return folder_outputs("--plots", folder, [f"{name}.png" for name in FILES["nuts"]])


def _finish(fitted: Fit, output: Path, folder: Path | None) -> None:
    """Print summary and checks, draw the figures, and exit by the checks."""
    from bayeslaw.assess.checks import checks, summary, worst_level
    from bayeslaw.reports.terminal.fits import checks_text, summary_text

    with stage("checking the fit"):
        found = checks(fitted)
        rows = fitted.data.sizes["obs"]
        say(f"{fitted.spec.name}: {fitted.spec.title}, {rows} rows, method {fitted.method}\n")
        say(summary_text(summary(fitted)))
    say("\n" + checks_text(found) + "\n")
    wrote(output)
    if folder is not None:
        with stage("drawing"):
            from bayeslaw.plots.saving import save_all

            wrote(*save_all(fitted, folder))
    exit_by(worst_level(found) == "fail")


@click.command()
@click.argument("fitted", metavar="FIT", type=FILE)
@target_options
@forecast_options
@click.option("-o", "--output", type=FILE, help="Write all rows and kinds as CSV.")
@click.option("--plot", type=FILE, help="Draw the forecast into this file (.png, .svg, .pdf).")
@click.option("--seed", default=0, show_default=True)
def forecast(fitted: Path, output: Path | None, plot: Path | None, seed: int, **options: Any) -> None:
    """Forecast from FIT at targets, or along a schedule that was never run."""
    settle_outputs({"FIT": fitted}, output=output, plot=plot)
    with stage("loading"):
        from bayeslaw.assess.checks import checks, worst_level
        from bayeslaw.forecasts.forecast import forecast as run
        from bayeslaw.inference.fit import load_fit
    with stage(f"reading {fitted}"):
        loaded = load_fit(fitted)
    with stage("forecasting"):
        result = run(loaded, seed=seed, **forecast_arguments(loaded, options))
    with stage("checking the fit"):
        found = checks(loaded)
    told = _tell(loaded, result, found, output, plot)
    exit_by(worst_level(told) == "fail")


def _tell(
    whole: Fit | Mixture, result: xr.Dataset, found: list[Check], output: Path | None, plot: Path | None
) -> list[Check]:
    """Print a forecast with what was checked, write it, draw it; return what was told of it."""
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


def by_stem(paths: Sequence[Path], fits: Sequence[Fit]) -> dict[str, Fit]:
    """Call each fit by its file's name."""
    names = [path.stem for path in paths]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two files are called {twice[0]!r}; give each law's file a name of its own.")
    return dict(zip(names, fits, strict=True))


@click.command()
@click.argument("fits", metavar="FIT...", nargs=-1, required=True, type=FILE)
@target_options
@forecast_options
@click.option(
    "--along", metavar="COL", help="The column along which windows grow; by default the first input's."
)
@click.option(
    "--windows", metavar="V,V", help="Largest values seen; by default four blocks of the upper half."
)
@click.option("--shrink", default=2.0, show_default=True, help="How strongly weights are held near equal.")
@sampling_options
@click.option("-o", "--output", type=FILE, help="Write all rows and kinds of the forecast as CSV.")
@click.option("--plot", type=FILE, help="Draw the forecast into this file (.png, .svg, .pdf).")
def stack(fits: Sequence[Path], output: Path | None, plot: Path | None, **options: Any) -> None:
    """Weigh FITs of several laws to the same rows by how each foretells rows ahead, and forecast with all.

    Each law is fitted again to growing windows; a law is called by its file's name. Without targets the
    weights alone are printed.
    """
    settle_outputs({"FIT": fits}, output=output, plot=plot)
    asked = bool(options["at"]) or options["schedule"] is not None
    if not asked and (output is not None or plot is not None):
        raise InputError("stack: -o and --plot are of the forecast; say of what with --at or --schedule.")
    with stage("loading"):
        from bayeslaw.assess.checks import checks, worst_level
        from bayeslaw.forecasts.forecast import forecast as run
        from bayeslaw.inference.fit import load_fit
        from bayeslaw.reports.terminal.fits import checks_text, mixture_text
        from bayeslaw.studies.stacking import stack as weigh
    with stage("reading fits"):
        loaded = by_stem(fits, [load_fit(path) for path in fits])
    settings = {n: options[n] for n in ("along", "shrink", "draws", "tune", "chains", "seed")}
    windows = None if options["windows"] is None else comma_separated(options["windows"])
    with stage("weighing laws"):
        mixture = weigh(loaded, windows=windows, **settings)
    say(mixture_text(mixture))
    with stage("checking the fits"):
        found = [check for one in loaded.values() for check in checks(one)]
    if asked:
        with stage("forecasting"):
            result = run(mixture, seed=options["seed"], **forecast_arguments(mixture, options))
        say("")
        found = _tell(mixture, result, found, output, plot)
    else:
        from bayeslaw.forecasts.mixture import weight_checks

        say("\n" + checks_text([*weight_checks(mixture), *(c for c in found if c.level != "ok")]))
    exit_by(worst_level(found) == "fail")
