"""Study over how many orders of magnitude a law's parameters hold: the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bayeslaw.cli.options import FILE, execution_of, execution_options, sampling_options, study_options
from bayeslaw.cli.output import exit_by, model_file, say, settle_outputs, stage, writing, wrote
from bayeslaw.cli.values import law_and_rows, law_of, table_arguments, whole_numbers
from bayeslaw.core.errors import InputError


@click.command()
@study_options
@click.option("--along", default="compute", show_default=True, help="A column of positive numbers.")
@click.option("--every", default=0.5, show_default=True, help="Orders of magnitude between windows.")
@click.option("--delta", default=0.3, show_default=True, help="Resolved: known to ± this, relative.")
@click.option("--target", type=float, help="Where windows end; by default the largest value.")
@click.option("--claim", type=float, help="Orders of magnitude of a claim to be judged.")
@click.option("--by-k", metavar="K,K", help="Study these k of pass@k one by one, as in 1,16,128.")
@sampling_options
@execution_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=FILE,
    help="Where to write the result: .nc (everything) or .csv (one row per parameter).",
)
@click.option("--plot", type=FILE, help="A file for the figure.")
def stability(
    model: str, table: Path, output: Path, plot: Path | None, by_k: str | None, **options: Any
) -> None:
    """Say over how many orders of magnitude MODEL's parameters hold on TABLE."""
    read = {"MODEL": model_file(model), "TABLE": table, "--join": options["join"]}
    settle_outputs(read, study=output, plot=plot)
    kept = ("along", "every", "delta", "target", "claim", "draws", "tune", "chains", "seed")
    settings = {n: options[n] for n in kept} | execution_of(options)
    if by_k is not None:
        _stability_by_k(model, table, output, plot, by_k, options, settings)
    with stage("loading"):
        from bayeslaw.reports.terminal.studies import stability_text
        from bayeslaw.studies.stability.study import stability as run
        from bayeslaw.studies.stability.study import unclean
        from bayeslaw.studies.writing import save_study
    spec, data = law_and_rows(model, table, options)
    with stage("fitting windows"):
        result = run(spec, data, **settings)
    with writing(output):
        save_study(result, output)
    say(f"{stability_text(result)}\n")
    wrote(output)
    if plot is not None:
        with stage("drawing"):
            from bayeslaw.plots.saving import save
            from bayeslaw.plots.stability import plot_stability

            save(plot_stability(result), plot)
        wrote(plot)
    exit_by(unclean(result).any())


def _stability_by_k(
    model: str,
    table: Path,
    output: Path,
    plot: Path | None,
    by_k: str,
    options: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """Study several k of pass@k, and end the command."""
    for name in ("k", "claim"):
        if options[name] is not None:
            raise InputError(f"--{name} does not go with --by-k; give one of them.")
    if options["schedule"]:
        raise InputError("--schedule does not go with --by-k: laws along a schedule have no pass@k.")
    ks = whole_numbers(by_k, "--by-k")
    with stage("loading"):
        from bayeslaw.reports.terminal.studies import by_k_text
        from bayeslaw.studies.stability.over_k import stability_by_k
        from bayeslaw.studies.writing import save_study
    with stage(f"reading {table}"):
        spec, read = law_of(model, options), table_arguments(options)
    del settings["claim"]
    with stage("fitting windows"):
        result = stability_by_k(spec, table, ks, read=read, **settings)
    with writing(output):
        save_study(result, output)
    say(f"{by_k_text(result)}\n")
    wrote(output)
    if plot is not None:
        with stage("drawing"):
            from bayeslaw.plots.by_k import plot_by_k
            from bayeslaw.plots.saving import save

            save(plot_by_k(result), plot)
        wrote(plot)
    exit_by((result["failed"] > 0).any())
