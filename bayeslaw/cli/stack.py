"""Weigh several laws, and forecast with all of them: the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bayeslaw.cli.fits import by_stem
from bayeslaw.cli.forecast import tell
from bayeslaw.cli.options import (
    FILE,
    cluster_option,
    execution_of,
    execution_options,
    forecast_options,
    sampling_options,
    target_options,
)
from bayeslaw.cli.output import exit_by, say, settle_outputs, stage
from bayeslaw.cli.values import comma_separated, forecast_arguments
from bayeslaw.core.errors import InputError


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
@cluster_option
@execution_options
@click.option("-o", "--output", type=FILE, help="Write all rows and kinds of the forecast as CSV.")
@click.option("--plot", type=FILE, help="Draw the forecast into this file (.png, .svg, .pdf).")
def stack(fits: Sequence[Path], output: Path | None, plot: Path | None, **options: Any) -> None:
    """Weigh FITs of several laws to the same rows by how each predicts rows ahead, and forecast with all.

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
        from bayeslaw.inference.loading import load_fit
        from bayeslaw.reports.terminal.fits import checks_text, mixture_text
        from bayeslaw.studies.stacking import stack as weigh
    with stage("reading fits"):
        loaded = by_stem(fits, [load_fit(path) for path in fits])
    settings = {n: options[n] for n in ("along", "shrink", "draws", "tune", "chains", "seed")}
    windows = None if options["windows"] is None else comma_separated(options["windows"])
    with stage("weighing laws"):
        mixture = weigh(loaded, windows=windows, **settings, **execution_of(options))
    say(mixture_text(mixture))
    with stage("checking the fits"):
        found = [check for one in loaded.values() for check in checks(one)]
    if asked:
        with stage("forecasting"):
            result = run(mixture, seed=options["seed"], **forecast_arguments(mixture, options))
        say("")
        found = tell(mixture, result, found, output, plot)
    else:
        from bayeslaw.forecasts.mixture import weight_checks

        say("\n" + checks_text([*weight_checks(mixture), *(c for c in found if c.level != "ok")]))
    exit_by(worst_level(found) == "fail")
