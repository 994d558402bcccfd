"""The commands that fit again and again, or lay side by side: back-test, stability, comparison, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayeslaw.cli.fitting import by_stem
from bayeslaw.cli.options import (
    FILE,
    comma_separated,
    group_of,
    law_and_rows,
    law_of,
    reading_options,
    sampling_options,
    table_arguments,
    target_options,
    targets_of,
    whole_numbers,
)
from bayeslaw.cli.output import exit_by, model_file, say, settle_outputs, stage, writing, wrote
from bayeslaw.core.errors import InputError
from bayeslaw.core.outputs import folder_outputs

if TYPE_CHECKING:
    import pandas as pd

    from bayeslaw.inference.fit import Fit


@click.command()
@reading_options
@click.option("--along", default="compute", show_default=True, help="A column of numbers, or of labels.")
@click.option("--leave-out", is_flag=True, help="Leave out each group of the column, numbers too.")
@click.option("--windows", metavar="V,V", help="Largest values seen, or the groups to leave out.")
@click.option("--target", type=float, help="The value of the column to foretell; by default the largest.")
@click.option(
    "--methods",
    default="posterior,independent,point",
    show_default=True,
    metavar="M,M",
    help="The law as given, without its discrepancy, the point fit.",
)
@sampling_options
@click.option("--bootstrap", default=300, show_default=True, help="Resamples for the point fit.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=FILE,
    help="Where to write the result: .nc (everything) or .csv (a row a fit).",
)
@click.option("--plots", type=FILE, help="A folder for the figures.")
def backtest(model: str, table: Path, output: Path, plots: Path | None, **options: Any) -> None:
    """Fit MODEL to parts of TABLE, forecast the rest, and score the forecasts."""
    read = {"MODEL": model_file(model), "TABLE": table, "--join": options["join"]}
    settle_outputs(read, study=output, plots=_figures_of_a_backtest(plots))
    with stage("loading"):
        from bayeslaw.reports.terminal.studies import backtest_text
        from bayeslaw.studies.backtest import backtest as run
        from bayeslaw.studies.backtest import write_backtest
    spec, data = law_and_rows(model, table, options)
    settings = {n: options[n] for n in ("draws", "tune", "chains", "seed", "bootstrap", "target")}
    windows = None if options["windows"] is None else comma_separated(options["windows"])
    with stage("fitting and foretelling"):
        result = run(
            spec, data, options["along"], windows=windows, leave_out=options["leave_out"] or None,
            methods=comma_separated(options["methods"]), **settings,
        )  # fmt: skip
    with writing(output):
        write_backtest(result, output)
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


@click.command()
@reading_options
@click.option("--along", default="compute", show_default=True, help="A column of positive numbers.")
@click.option("--every", default=0.5, show_default=True, help="Orders of magnitude between windows.")
@click.option("--delta", default=0.3, show_default=True, help="Resolved: known to ± this, relative.")
@click.option("--target", type=float, help="Where windows end; by default the largest value.")
@click.option("--claim", type=float, help="Orders of magnitude of a claim to be judged.")
@click.option("--by-k", metavar="K,K", help="Study these k of pass@k one by one, as in 1,16,128.")
@sampling_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=FILE,
    help="Where to write the result: .nc (everything) or .csv (a row a parameter).",
)
@click.option("--plot", type=FILE, help="A file for the figure.")
def stability(
    model: str, table: Path, output: Path, plot: Path | None, by_k: str | None, **options: Any
) -> None:
    """Say over how many orders of magnitude MODEL's parameters hold on TABLE."""
    read = {"MODEL": model_file(model), "TABLE": table, "--join": options["join"]}
    settle_outputs(read, study=output, plot=plot)
    kept = ("along", "every", "delta", "target", "claim", "draws", "tune", "chains", "seed")
    settings = {n: options[n] for n in kept}
    if by_k is not None:
        _stability_by_k(model, table, output, plot, by_k, options, settings)
    with stage("loading"):
        from bayeslaw.reports.terminal.studies import stability_text
        from bayeslaw.studies.stability.study import stability as run
        from bayeslaw.studies.stability.study import unclean, write_stability
    spec, data = law_and_rows(model, table, options)
    with stage("fitting windows"):
        result = run(spec, data, **settings)
    with writing(output):
        write_stability(result, output)
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
        from bayeslaw.studies.stability.over_k import stability_by_k, write_by_k
    with stage(f"reading {table}"):
        spec, read = law_of(model, options), table_arguments(options)
    del settings["claim"]
    with stage("fitting windows"):
        result = stability_by_k(spec, table, ks, read=read, **settings)
    with writing(output):
        write_by_k(result, output)
    say(f"{by_k_text(result)}\n")
    wrote(output)
    if plot is not None:
        with stage("drawing"):
            from bayeslaw.plots.by_k import plot_by_k
            from bayeslaw.plots.saving import save

            save(plot_by_k(result), plot)
        wrote(plot)
    exit_by((result["failed"] > 0).any())


@click.command()
@click.argument("fits", metavar="FIT...", nargs=-1, required=True, type=FILE)
@click.option(
    "--ahead", is_flag=True, help="Fit again to growing windows: how each law foretells rows ahead."
)
@click.option("--along", metavar="COL", help="The column along which windows grow, with --ahead.")
@sampling_options
@click.option("-o", "--output", type=FILE, help="Write the table as CSV.")
def compare(fits: Sequence[Path], output: Path | None, **options: Any) -> None:
    """Compare FITs of several laws to the same rows; a law is called by its file's name.

    The draws, tune, chains and seed are of the fits that --ahead makes.
    """
    settle_outputs({"FIT": fits}, output=output)
    with stage("loading"):
        from bayeslaw.assess.checks import worst_level
        from bayeslaw.core.files import write_text
        from bayeslaw.reports.terminal.studies import comparison_text
    loaded = _loaded(fits)
    table = _comparison(fits, loaded, **options)
    say(comparison_text(table))
    if output is not None:
        with writing(output):
            write_text(output, table.to_csv())
        wrote(output)
    exit_by(worst_level(table.attrs["checks"]) == "fail")


def _loaded(paths: Sequence[Path]) -> list[Fit]:
    from bayeslaw.inference.fit import load_fit

    loaded = []
    for path in paths:
        with stage(f"reading {path}"):
            loaded.append(load_fit(path))
    return loaded


def _comparison(paths: Sequence[Path], fits: Sequence[Fit], **options: Any) -> pd.DataFrame:
    from bayeslaw.studies.compare import compare as run

    with stage("comparing"):
        return run(by_stem(paths, fits), **options)


@click.command()
@click.argument("fits", metavar="FIT...", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", required=True, type=FILE, help="Where to write the page (HTML).")
@target_options
@click.option("--stability", type=FILE, help="A file of `bayeslaw stability`.")
@click.option("--backtest", type=FILE, help="A file of `bayeslaw backtest` (.nc).")
@click.option(
    "--compare", "side_by_side", is_flag=True, help="Also compare the fits, which need the same rows."
)
def report(
    fits: Sequence[Path],
    output: Path,
    at: Sequence[str],
    schedule: str | None,
    group: Sequence[str],
    prob: float,
    side_by_side: bool,
    **studies: Path | None,
) -> None:
    """Write what FITs say, and how far it can be trusted, as one HTML page.

    Without --at the forecast is of a run one order of magnitude beyond the data; without --schedule of the
    end of each seen run.
    """
    settle_outputs({"FIT": fits} | {f"--{n}": path for n, path in studies.items()}, output=output)
    with stage("loading"):
        from bayeslaw.reports.build import reported
        from bayeslaw.reports.studies import read_study
        from bayeslaw.reports.verdict import failed
    if side_by_side and len(fits) < 2:
        raise InputError("--compare: needs two fits or more.")
    loaded = _loaded(fits)
    given: dict[str, Any] = dict.fromkeys(studies)
    for name, path in studies.items():
        if path is not None:
            with stage(f"reading {path}"):
                given[name] = read_study(path, name)
    comparison = _comparison(fits, loaded) if side_by_side else None
    with writing(output):
        targets = targets_of(at, loaded)
        asked = {"targets": targets, "schedule": schedule, "group": group_of(group), "prob": prob}
        _, cases = reported(loaded, output, **asked, comparison=comparison, **given)
    wrote(output)
    bad = [path for path, case in zip(fits, cases, strict=True) if failed(case)]
    for path in bad:
        say(f"[fail] {path}: it, or a forecast by it, failed a check; the page says which")
    exit_by(bool(bad))
