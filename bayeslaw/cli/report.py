"""Report what fits say as one page: the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bayeslaw.cli.compare import comparison_of
from bayeslaw.cli.fits import load_fits
from bayeslaw.cli.options import FILE, target_options
from bayeslaw.cli.output import exit_by, say, settle_outputs, stage, writing, wrote
from bayeslaw.cli.values import group_of, targets_of
from bayeslaw.core.errors import InputError


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
    loaded = load_fits(fits)
    given: dict[str, Any] = dict.fromkeys(studies)
    for name, path in studies.items():
        if path is not None:
            with stage(f"reading {path}"):
                given[name] = read_study(path, name)
    comparison = comparison_of(fits, loaded) if side_by_side else None
    with writing(output):
        targets = targets_of(at, loaded)
        asked = {"targets": targets, "schedule": schedule, "group": group_of(group), "prob": prob}
        _, cases = reported(loaded, output, **asked, comparison=comparison, **given)
    wrote(output)
    bad = [path for path, case in zip(fits, cases, strict=True) if failed(case)]
    for path in bad:
        say(f"[fail] {path}: it, or a forecast by it, failed a check; the page says which")
    exit_by(bool(bad))
