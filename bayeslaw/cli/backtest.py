"""Back-test a law: the command that forecasts what is known already, and scores the forecasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bayeslaw.cli.options import FILE, execution_of, execution_options, sampling_options, study_options
from bayeslaw.cli.output import exit_by, model_file, say, settle_outputs, stage, writing, wrote
from bayeslaw.cli.values import comma_separated, law_and_rows
from bayeslaw.core.outputs import folder_outputs


@click.command()
@study_options
@click.option("--along", default="compute", show_default=True, help="A column of numbers, or of labels.")
@click.option("--leave-out", is_flag=True, help="Leave out each group of the column, numbers too.")
@click.option("--windows", metavar="V,V", help="Largest values seen, or the groups to leave out.")
@click.option("--target", type=float, help="The value of the column to predict; by default the largest.")
@click.option(
    "--methods",
    default="posterior,independent,point",
    show_default=True,
    metavar="M,M",
    help="The law as given, without its discrepancy, the point fit.",
)
@sampling_options
@click.option("--bootstrap", default=300, show_default=True, help="Resamples for the point fit.")
@execution_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=FILE,
    help="Where to write the result: .nc (everything) or .csv (one row per fit).",
)
@click.option("--plots", type=FILE, help="A folder for the figures.")
def backtest(model: str, table: Path, output: Path, plots: Path | None, **options: Any) -> None:
    """Fit MODEL to parts of TABLE, forecast the rest, and score the forecasts."""
    read = {"MODEL": model_file(model), "TABLE": table, "--join": options["join"]}
    settle_outputs(read, study=output, plots=_figures_of_a_backtest(plots))
    with stage("loading"):
        from bayeslaw.reports.terminal.studies import backtest_text
        from bayeslaw.studies.backtest.study import backtest as run
        from bayeslaw.studies.writing import save_study
    spec, data = law_and_rows(model, table, options)
    settings = {n: options[n] for n in ("draws", "tune", "chains", "seed", "bootstrap", "target")}
    windows = None if options["windows"] is None else comma_separated(options["windows"])
    with stage("fitting and predicting"):
        result = run(
            spec, data, options["along"], windows=windows, leave_out=options["leave_out"] or None,
            methods=comma_separated(options["methods"]), **settings, **execution_of(options),
        )  # fmt: skip
    with writing(output):
        save_study(result, output)
    say(f"{backtest_text(result)}\n")
    wrote(output)
    if plots is not None:
        with stage("drawing"):
            from bayeslaw.plots.saving import save_backtest

            wrote(*save_backtest(result, plots))
    exit_by((result["failed"] != "").any())


def _figures_of_a_backtest(folder: Path | None) -> list[tuple[str, Path | None]]:
    if folder is None:
        return []
    from bayeslaw.plots.saving import BACKTEST_FILES

    return folder_outputs("--plots", folder, [f"{name}.png" for name in BACKTEST_FILES])
