"""Show each group's own value of a pooled parameter: the command."""

from __future__ import annotations

from pathlib import Path

import click

from bayeslaw.cli.options import FILE
from bayeslaw.cli.output import say, settle_outputs, stage, writing, wrote


@click.command()
@click.argument("fitted", metavar="FIT", type=FILE)
@click.argument("parameter")
@click.option("--prob", default=0.9, show_default=True, help="Probability of the interval.")
@click.option("-o", "--output", type=FILE, help="Write all groups, and how they compare, as CSV.")
def groups(fitted: Path, parameter: str, prob: float, output: Path | None) -> None:
    """Show each group's own value of PARAMETER in FIT, with its interval.

    The file of -o also has, for each pair of groups, the probability that one's value is the larger.
    """
    settle_outputs({"FIT": fitted}, output=output)
    with stage("loading"):
        from bayeslaw.assess.groups import groups as run
        from bayeslaw.core.files import write_text
        from bayeslaw.inference.loading import load_fit
        from bayeslaw.reports.terminal.contrasts import groups_text
    with stage(f"reading {fitted}"):
        loaded = load_fit(fitted)
    with stage("comparing groups"):
        table = run(loaded, parameter, prob)
    say(groups_text(table))
    if output is not None:
        with writing(output):
            write_text(output, table.to_csv())
        wrote(output)
