"""List the commands; what they call is imported lazily, so that --help is instant."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import click

from bayeslaw.cli.backtest import backtest
from bayeslaw.cli.compare import compare
from bayeslaw.cli.contrast import contrast
from bayeslaw.cli.fit import fit
from bayeslaw.cli.forecast import forecast
from bayeslaw.cli.groups import groups
from bayeslaw.cli.guide import guide
from bayeslaw.cli.options import FILE
from bayeslaw.cli.output import Commands, debug_option, remember, say, stage
from bayeslaw.cli.report import report
from bayeslaw.cli.stability import stability
from bayeslaw.cli.stack import stack
from bayeslaw.core.folders import check_folder
from bayeslaw.core.version import VERSION


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION)
def main() -> None:
    """Bayesian inference of scaling laws: fit, check, forecast.

    Exit codes: 0 finished; 1 finished, but a check failed: the sampler's, too few different inputs for
    the law, or a forecast that is no finite number (the result is written and says so); 2 bad input, one
    message; 3 an unexpected error, one line (--debug shows the traceback); 130 stopped from the keyboard.

    Long work prints a line every ten seconds on standard error where that is no terminal.
    """


@click.command()
def models() -> None:
    """List the shipped laws."""
    from bayeslaw.law.catalogue import models as catalogue

    for row in catalogue().itertuples():
        say(f"{row.name:16s} {row.title}\n{'':16s} {row.law}   [{row.source}]")


@click.command()
@click.option(
    "-o", "--output", default="bayeslaw-demo", show_default=True, type=FILE, help="The folder to write."
)
def demo(output: Path) -> None:
    """Fit and forecast on data that ships with the package; writes a folder with a page."""
    check_folder(output)
    remember(output)
    with stage("running the demo"):
        from bayeslaw.demo import run

        run(output, say)


COMMANDS = (models, fit, forecast, contrast, groups, backtest, stability, compare, stack, report, demo, guide)
for command in (main, *COMMANDS):
    command.params.append(debug_option())
for command in COMMANDS:
    main.add_command(command)


def run() -> None:
    """Start the command line as a program; hide libraries' warnings, on which a user cannot act."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    main(prog_name="bayeslaw")
