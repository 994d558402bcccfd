"""Declare the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from bayeslaw.cli.output import remember_store

FILE = click.Path(path_type=Path)


_JOINED = "The column that both tables have; by default model. Goes with --join."
_CLUSTER = "Make the fits on a Dask cluster: its scheduler's address."
_ADDRESS = "tcp://HOST:PORT"


def reading_options(command: Callable) -> Callable:
    """Add the options that say which law is fitted to which rows."""
    return _reading(command, click.option("--on", metavar="COL", help=_JOINED))


def study_options(command: Callable) -> Callable:
    """Add the same of a command that fits many times; its --on names a cluster, too."""
    on = click.option(
        "--on",
        metavar=f"COL|{_ADDRESS}",
        multiple=True,
        callback=_column_or_cluster,
        help=f"{_JOINED} Or: {_CLUSTER}",
    )
    return _reading(command, on)


def _column_or_cluster(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> str | None:
    """Return the column, and set the option cluster; the last of each counts, as of any option."""
    clusters = [text for text in given if "://" in text]
    ctx.params["cluster"] = clusters[-1] if clusters else None
    columns = [text for text in given if text not in clusters]
    return columns[-1] if columns else None


_CHANGES = (
    click.option("--fix", multiple=True, metavar="P=V", help="Hold a parameter at a value."),
    click.option("--prior", multiple=True, metavar="P=LOW,HIGH", help="Central 90 % of a parameter's prior."),
    click.option(
        "--pool",
        multiple=True,
        metavar="P=COL[,COL]",
        help="Give each group of a column its own value of a parameter, partially pooled.",
    ),
    click.option(
        "--likelihood", metavar="FAMILY", help="How rows scatter: studentt, normal, or binomial (counts)."
    ),
    click.option(
        "--discrepancy", type=click.Choice(["none"]), help="none: independent errors around the law."
    ),
    click.option("--groups", metavar="COLUMN", help="Groups whose curves differ in shape, such as families."),
    click.option("--runs", metavar="COLUMN", help="Runs whose rows, their checkpoints, share an error."),
)
"""What a command may change of a law."""


def _reading(command: Callable, on: Callable) -> Callable:
    options = (
        click.argument("model"),
        click.argument("table", type=FILE),
        click.option("--k", type=int, help="The k of pass@k."),
        click.option(
            "--where",
            multiple=True,
            metavar="C=V",
            help="Keep rows that meet a condition (= != < <= > >=, a|b), as in compute>=1e20 or flag=false.",
        ),
        click.option("--join", type=FILE, help="A second table with more columns."),
        on,
        click.option(
            "--gold",
            help="How per-problem gold NLL becomes one number: mean-probability (the default) or mean-log-likelihood.",
        ),
        click.option("--rename", multiple=True, metavar="THEIRS=OURS", help="Rename a column."),
        click.option(
            "--schedule",
            multiple=True,
            metavar="RUN=TEXT",
            help='A run\'s schedule, as in "run1=cosine(peak=3e-4, end=3e-5, warmup=2160, total=24000)"; '
            'or one text for all runs, as in "logged(warmup=2160)", the rates of the table.',
        ),
        *_CHANGES,
    )
    return added(command, options)


def sampling_options(command: Callable) -> Callable:
    """Add the options of NUTS."""
    options = [
        click.option(f"--{name}", default=value, show_default=True)
        for name, value in {"draws": 1000, "tune": 1000, "chains": 4, "seed": 0}.items()
    ]
    return added(command, options)


def execution_options(command: Callable) -> Callable:
    """Add the options that say where the fits of a study run, and where they are kept; --on is among `study_options`."""
    options = (
        click.option("--jobs", default=1, show_default=True, help="Make the fits in so many processes."),
        click.option(
            "--store",
            type=FILE,
            help="Keep each fit in this folder, and take from it what is there: a stopped study goes on.",
        ),
        click.option(
            "--store-shared", is_flag=True, help="A cluster's workers write to the same folder themselves."
        ),
    )
    return added(command, options)


def cluster_option(command: Callable) -> Callable:
    """Add --on where it names a cluster only."""
    return click.option("--on", "cluster", metavar=_ADDRESS, help=_CLUSTER)(command)


def execution_of(options: dict[str, Any]) -> dict[str, Any]:
    """Take from a command's options the arguments that say where fits run; what is kept stays when it is stopped."""
    if options["store"] is not None:
        remember_store(options["store"])
    return {"on": options["cluster"]} | {n: options[n] for n in ("jobs", "store", "store_shared")}


def target_options(command: Callable) -> Callable:
    """Add the options that say what is forecast."""
    options = (
        click.option(
            "--at",
            multiple=True,
            metavar="X=V[,V]",
            help="A target's input, as in C=1e24, or its group; several go together row by row.",
        ),
        click.option("--schedule", help="A schedule's text, for laws along a schedule."),
        click.option(
            "--group",
            multiple=True,
            metavar="COL=LABEL",
            help="Whose values of pooled parameters hold along a schedule, as in model_size=100M.",
        ),
        click.option("--prob", default=0.9, show_default=True, help="Probability of the interval."),
    )
    return added(command, options)


def samples_option(command: Callable) -> Callable:
    """Add --samples: how a run that is forecast is measured."""
    told = "How a run is measured, of pass@k: samples per problem; none: without error. By default as usual in the table."
    return click.option("--samples", default="usual", metavar="N|none", help=told)(command)


def forecast_options(command: Callable) -> Callable:
    """Add the options of a forecast that is the command's result."""
    options = (
        click.option(
            "--every",
            type=int,
            metavar="STEPS",
            help="Along a schedule: every so many steps and the last, not every one.",
        ),
        click.option(
            "--new-group", is_flag=True, help="Forecast a group that was not seen, of a law that pools."
        ),
        samples_option,
    )
    return added(command, options)


def added(command: Callable, options: Sequence[Callable]) -> Callable:
    """Add options so that help shows them in this order."""
    for option in reversed(options):
        command = option(command)
    return command
