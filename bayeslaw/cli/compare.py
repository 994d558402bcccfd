"""Compare laws: the command that lays them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayeslaw.cli.fits import by_stem, load_fits
from bayeslaw.cli.options import FILE, cluster_option, execution_of, execution_options, sampling_options
from bayeslaw.cli.output import exit_by, say, settle_outputs, stage, writing, wrote

if TYPE_CHECKING:
    import pandas as pd

    from bayeslaw.inference.fit import Fit


@click.command()
@click.argument("fits", metavar="FIT...", nargs=-1, required=True, type=FILE)
@click.option("--ahead", is_flag=True, help="Fit again to growing windows: how each law predicts rows ahead.")
@click.option("--along", metavar="COL", help="The column along which windows grow, with --ahead.")
@sampling_options
@cluster_option
@execution_options
@click.option("-o", "--output", type=FILE, help="Write the table as CSV.")
def compare(fits: Sequence[Path], output: Path | None, **options: Any) -> None:
    """Compare FITs of several laws to the same rows; a law is called by its file's name.

    The draws, tune, chains and seed are of the fits that --ahead makes; so is where they run.
    """
    settle_outputs({"FIT": fits}, output=output)
    with stage("loading"):
        from bayeslaw.assess.checks import worst_level
        from bayeslaw.core.files import write_text
        from bayeslaw.reports.terminal.studies import comparison_text
    loaded = load_fits(fits)
    execution = execution_of(options)
    kept = ("ahead", "along", "draws", "tune", "chains", "seed")
    table = comparison_of(fits, loaded, **{n: options[n] for n in kept}, **execution)
    say(comparison_text(table))
    if output is not None:
        with writing(output):
            write_text(output, table.to_csv())
        wrote(output)
    exit_by(worst_level(table.attrs["checks"]) == "fail")


def comparison_of(paths: Sequence[Path], fits: Sequence[Fit], **options: Any) -> pd.DataFrame:
    """Compare fits, each called by its file's name; options are those of `compare`."""
    from bayeslaw.studies.compare import compare as run

    with stage("comparing"):
        return run(by_stem(paths, fits), **options)
