"""Compare two forecasts of one fit: the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bayeslaw.cli.options import FILE, samples_option
from bayeslaw.cli.output import exit_by, say, settle_outputs, stage, writing, wrote
from bayeslaw.cli.values import samples_of, side_of

_SIDE = "X=V[,V] | SCHEDULE"


@click.command()
@click.argument("fitted", metavar="FIT", type=FILE)
@click.option(
    "--a",
    "first",
    multiple=True,
    required=True,
    metavar=_SIDE,
    help="A target's input or group, as in C=1e23, or a schedule; several go together.",
)
@click.option("--b", "second", multiple=True, required=True, metavar=_SIDE, help="What it is compared with.")
@click.option(
    "--kind",
    default="run",
    show_default=True,
    help="What is compared: run, curve or law.",
)
@click.option("--prob", default=0.9, show_default=True, help="Probability of the interval.")
@click.option("--new-group", is_flag=True, help="Both are of a group that was not seen, of a law that pools.")
@samples_option
@click.option("-o", "--output", type=FILE, help="Write the differences as CSV.")
@click.option("--seed", default=0, show_default=True)
def contrast(
    fitted: Path,
    first: Sequence[str],
    second: Sequence[str],
    kind: str,
    prob: float,
    new_group: bool,
    samples: str,
    output: Path | None,
    seed: int,
) -> None:
    """Compare two targets, schedules or groups of FIT: the difference a - b, and the chance that a is below b.

    What both share (parameters, discrepancy, a group, a branch) cancels, so that a difference is known
    better than two intervals side by side suggest.
    """
    settle_outputs({"FIT": fitted}, output=output)
    with stage("loading"):
        from bayeslaw.assess.checks import worst_level
        from bayeslaw.core.check import from_json
        from bayeslaw.core.files import write_text
        from bayeslaw.forecasts.contrast import contrast as run
        from bayeslaw.inference.loading import load_fit
        from bayeslaw.reports.terminal.contrasts import contrast_text
        from bayeslaw.reports.terminal.fits import checks_text
    with stage(f"reading {fitted}"):
        loaded = load_fit(fitted)
    with stage("comparing"):
        sides = side_of(first, "--a", loaded), side_of(second, "--b", loaded)
        result = run(loaded, *sides, kind, prob, new_group=new_group, samples=samples_of(samples), seed=seed)
    found = from_json(result.attrs["checks"])
    say(contrast_text(result))
    if told := [c for c in found if c.level != "ok"]:
        say("\n" + checks_text(told))
    if output is not None:
        with writing(output):
            write_text(output, result.to_dataframe().to_csv())
        wrote(output)
    exit_by(worst_level(found) == "fail")
