"""Weigh several laws, and forecast with all of them: the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayeslaw.cli.fits import by_stem
from bayeslaw.cli.forecast import tell
from bayeslaw.cli.options import (
    FILE,
    cluster_option,
    execution_of,
    execution_options,
    forecast_options,
    sampling_options,
    target_options,
)
from bayeslaw.cli.output import exit_by, say, settle_outputs, stage
from bayeslaw.cli.values import comma_separated, forecast_arguments, pairs
from bayeslaw.core.errors import InputError

if TYPE_CHECKING:
    from bayeslaw.forecasts.mixture import Mixture


@click.command()
@click.argument("fits", metavar="FIT...|TABLE", nargs=-1, required=True, type=FILE)
@click.option("--law", "laws", multiple=True, metavar="MODEL", help="Fit this law to TABLE; several times.")
@click.option("--k", type=int, help="The k of pass@k, of TABLE.")
@click.option("--where", multiple=True, metavar="C=V", help="Keep rows of TABLE that meet a condition.")
@click.option("--rename", multiple=True, metavar="THEIRS=OURS", help="Rename a column of TABLE.")
@target_options
@forecast_options
@click.option(
    "--along",
    metavar="COL",
    help="The column along which windows grow; by default compute of laws in params and tokens, else the first input's.",
)
@click.option(
    "--windows", metavar="V,V", help="Largest values seen; by default four blocks of the upper half."
)
@click.option("--shrink", default=0.5, show_default=True, help="How strongly weights are held near equal.")
@click.option(
    "--by-distance/--no-by-distance",
    default=True,
    show_default=True,
    help="Weigh laws for each target by rows about as far ahead.",
)
@sampling_options
@cluster_option
@execution_options
@click.option("-o", "--output", type=FILE, help="Write all rows and kinds of the forecast as CSV.")
@click.option("--plot", type=FILE, help="Draw the forecast into this file (.png, .svg, .pdf).")
def stack(fits: Sequence[Path], output: Path | None, plot: Path | None, **options: Any) -> None:
    """Weigh several laws by how each predicts rows ahead, and forecast with all.

    Of FITs to the same rows, a law is called by its file's name; or each --law is fitted to one TABLE, which is
    read as the first needs it. Each law is fitted again to growing windows. Without targets the weights alone
    are printed.
    """
    settle_outputs({"TABLE" if options["laws"] else "FIT": fits}, output=output, plot=plot)
    _check_reading(fits, options)
    asked = bool(options["at"]) or options["schedule"] is not None
    if not asked and (output is not None or plot is not None):
        raise InputError("stack: -o and --plot are of the forecast; say of what with --at or --schedule.")
    with stage("loading"):
        from bayeslaw.assess.checks import checks, worst_level
        from bayeslaw.forecasts.forecast import forecast as run
        from bayeslaw.reports.terminal.fits import checks_text, mixture_text
    mixture = _mixture(fits, options)
    say(mixture_text(mixture))
    with stage("checking the fits"):
        found = [check for one in mixture.fits.values() for check in checks(one)]
    if asked:
        with stage("forecasting"):
            result = run(mixture, seed=options["seed"], **forecast_arguments(mixture, options))
        say("")
        found = tell(mixture, result, found, output, plot)
    else:
        from bayeslaw.forecasts.mixture import weight_checks

        say("\n" + checks_text([*weight_checks(mixture), *(c for c in found if c.level != "ok")]))
    exit_by(worst_level(found) == "fail")


def _check_reading(given: Sequence[Path], options: dict[str, Any]) -> None:
    """Refuse options of a table beside fits, and several tables."""
    if options["laws"] and len(given) != 1:
        raise InputError(
            f"stack: found {len(given)} tables beside --law, allowed: one TABLE, to which each law is fitted."
        )
    if not options["laws"]:
        for name in ("k", "where", "rename"):
            if options[name] not in (None, ()):
                raise InputError(f"stack: --{name} is of a TABLE; name the laws to fit to it with --law.")


def _mixture(given: Sequence[Path], options: dict[str, Any]) -> Mixture:
    """Weigh the fits that are given, or those of the laws to the table."""
    names = ("along", "shrink", "by_distance", "draws", "tune", "chains", "seed")
    settings = {n: options[n] for n in names} | execution_of(options)
    settings["windows"] = None if options["windows"] is None else comma_separated(options["windows"])
    if options["laws"]:
        with stage(f"reading {given[0]}"):
            from bayeslaw.data.tables import read_table
            from bayeslaw.law.catalogue import load_model
            from bayeslaw.studies.laws import fit_laws

            renamed = pairs(options["rename"], "--rename", "theirs=ours")
            first = load_model(options["laws"][0])
            data = read_table(given[0], first, k=options["k"], where=options["where"], rename=renamed)
        with stage("fitting and weighing laws"):
            return fit_laws(options["laws"], data, **settings)
    with stage("reading fits"):
        from bayeslaw.inference.loading import load_fit
        from bayeslaw.studies.stacking import stack as weigh

        loaded = by_stem(given, [load_fit(path) for path in given])
    with stage("weighing laws"):
        return weigh(loaded, **settings)
