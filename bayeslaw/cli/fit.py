"""Fit a law to a table: the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayeslaw.cli.options import FILE, reading_options, sampling_options
from bayeslaw.cli.output import exit_by, model_file, say, settle_outputs, stage, writing, wrote
from bayeslaw.cli.values import law_and_rows
from bayeslaw.core.outputs import folder_outputs

if TYPE_CHECKING:
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
@click.option(
    "--sampler", default="nutpie", show_default=True, help="Who runs NUTS: nutpie, or pymc (pm.sample; slow)."
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
    names = ("draws", "tune", "chains", "seed", "target_accept", "sampler", "bootstrap")
    settings = {n: options[n] for n in names}
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
    from bayeslaw.assess.checks import checks, worst_level
    from bayeslaw.assess.summary import summary
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
