"""Declare the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

FILE = click.Path(path_type=Path)


def reading_options(command: Callable) -> Callable:
    """Add the options that say which law is fitted to which rows."""
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
        click.option(
            "--on",
            metavar="COL",
            help="The column that both tables have; by default model. Goes with --join.",
        ),
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
        click.option("--fix", multiple=True, metavar="P=V", help="Hold a parameter at a value."),
        click.option(
            "--prior", multiple=True, metavar="P=LOW,HIGH", help="Central 90 % of a parameter's prior."
        ),
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
    )
    return added(command, options)


def sampling_options(command: Callable) -> Callable:
    """Add the options of NUTS."""
    options = [
        click.option(f"--{name}", default=value, show_default=True)
        for name, value in {"draws": 1000, "tune": 1000, "chains": 4, "seed": 0}.items()
    ]
    return added(command, options)


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
    )
    return added(command, options)


def added(command: Callable, options: Sequence[Callable]) -> Callable:
    """Add options so that help shows them in this order."""
    for option in reversed(options):
        command = option(command)
    return command
