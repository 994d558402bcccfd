"""The command line: the same words as in Python, imported lazily so that --help is instant."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from bayeslaw import __version__
from bayeslaw.errors import InputError
from bayeslaw.files import check_folder, check_place

FINISHED, FAILED_CHECK, BAD_INPUT, STOPPED = 0, 1, 2, 130


class _Commands(click.Group):
    """A group that turns bad input into one message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"bayeslaw: {error}", err=True)
            ctx.exit(BAD_INPUT)
        except KeyboardInterrupt:
            click.echo("bayeslaw: stopped; nothing was written.", err=True)
            ctx.exit(STOPPED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Bayesian inference of scaling laws: fit, check, forecast.

    Exit codes: 0 finished; 1 finished, but a check failed: the sampler's, too few different inputs for
    the law, or a forecast that is no finite number (the result is written and says so); 2 bad input.
    """


@main.command()
def models() -> None:
    """List the shipped laws."""
    from bayeslaw.catalogue import models as catalogue

    for row in catalogue().itertuples():
        click.echo(f"{row.name:16s} {row.title}\n{'':16s} {row.law}   [{row.source}]")


def _pairs(values: Sequence[str], option: str, example: str) -> dict[str, str]:
    """Read options of the form a=b."""
    pairs = {}
    for value in values:
        left, sign, right = value.partition("=")
        if not sign or not left or not right:
            raise InputError(f"{option}: found {value!r}, expected {example}.")
        pairs[left.strip()] = right.strip()
    return pairs


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option}: found {text!r}, expected a number.") from None


def _schedules(values: Sequence[str]) -> str | dict[str, str]:
    """Read --schedule options: 'run=cosine(…)' each, or one 'cosine(…)' for all runs."""
    named = {}
    for value in values:
        before = value.split("(", 1)[0]
        if "=" in before:
            run, text = value.split("=", 1)
            named[run.strip()] = text.strip()
        elif len(values) == 1:
            return value
        else:
            raise InputError(f'--schedule: found {value!r}, expected "run=cosine(…)" for each run.')
    return named


def _reading_options(command: Callable) -> Callable:
    """Add the options that say which law is fitted to which rows."""
    options = (
        click.argument("model"),
        click.argument("table", type=click.Path(path_type=Path)),
        click.option("--k", type=int, help="The k of pass@k."),
        click.option(
            "--where",
            multiple=True,
            metavar="C=V",
            help="Keep rows that meet a condition (= != < <= > >=, a|b).",
        ),
        click.option("--join", type=click.Path(path_type=Path), help="A second table with more columns."),
        click.option("--on", default="model", show_default=True, help="The column that both tables have."),
        click.option(
            "--gold",
            default="mean-probability",
            show_default=True,
            help="How per-problem gold NLL becomes one number: mean-probability or mean-log-likelihood.",
        ),
        click.option("--rename", multiple=True, metavar="THEIRS=OURS", help="Rename a column."),
        click.option(
            "--schedule",
            multiple=True,
            metavar="RUN=TEXT",
            help='A run\'s schedule, as in "run1=cosine(peak=3e-4, end=3e-5, warmup=2160, total=24000)".',
        ),
        click.option("--fix", multiple=True, metavar="P=V", help="Hold a parameter at a value."),
        click.option(
            "--prior", multiple=True, metavar="P=LOW,HIGH", help="Central 90 % of a parameter's prior."
        ),
        click.option(
            "--discrepancy", type=click.Choice(["none"]), help="none: independent errors around the law."
        ),
    )
    return _with(command, options)


def _sampling_options(command: Callable) -> Callable:
    """Add the options of NUTS."""
    options = [
        click.option(f"--{name}", default=value, show_default=True)
        for name, value in {"draws": 1000, "tune": 1000, "chains": 4, "seed": 0}.items()
    ]
    return _with(command, options)


def _with(command: Callable, options: Sequence[Callable]) -> Callable:
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@_reading_options
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Where to write the fit (netCDF)."
)
@click.option(
    "--method",
    default="nuts",
    show_default=True,
    help="nuts: posterior; map: Huber/L-BFGS point fit with bootstrap.",
)
@_sampling_options
@click.option(
    "--target-accept", type=float, help="NUTS' target acceptance; by default 0.95, 0.92 with a discrepancy."
)
@click.option("--bootstrap", default=1000, show_default=True, help="Resamples for --method map.")
@click.option("--plots", type=click.Path(path_type=Path), help="A folder for the figures.")
def fit(model: str, table: Path, output: Path, method: str, **options: Any) -> None:
    """Fit MODEL (a shipped name or a .toml file) to TABLE (CSV or Parquet)."""
    from bayeslaw.inference import fit as run

    check_place(output)
    if options["plots"] is not None:
        check_folder(options["plots"])
    spec = _law(model, options)
    data = _read(spec, table, options)
    settings = {n: options[n] for n in ("draws", "tune", "chains", "seed", "target_accept", "bootstrap")}
    fitted = run(spec, data, method, **settings)
    fitted.save(output)
    _finish(fitted, output, options["plots"])


@main.command()
@_reading_options
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
@_sampling_options
@click.option("--bootstrap", default=300, show_default=True, help="Resamples for the point fit.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Where to write the result: .nc (everything) or .csv (a row a fit).",
)
@click.option("--plots", type=click.Path(path_type=Path), help="A folder for the figures.")
def backtest(model: str, table: Path, output: Path, **options: Any) -> None:
    """Fit MODEL to parts of TABLE, forecast the rest, and score the forecasts."""
    from bayeslaw.backtesting import backtest as run
    from bayeslaw.backtesting import write_backtest
    from bayeslaw.text import backtest_text

    check_place(output)
    if output.suffix not in (".nc", ".csv"):
        raise InputError(f"{output}: found {output.suffix or 'no suffix'!r}, allowed: .nc or .csv.")
    if options["plots"] is not None:
        check_folder(options["plots"])
    spec = _law(model, options)
    data = _read(spec, table, options)
    settings = {n: options[n] for n in ("draws", "tune", "chains", "seed", "bootstrap", "target")}
    windows = None if options["windows"] is None else _listed(options["windows"])
    result = run(
        spec, data, options["along"], windows=windows, leave_out=options["leave_out"] or None,
        methods=_listed(options["methods"]), **settings,
    )  # fmt: skip
    write_backtest(result, output)
    click.echo(f"{backtest_text(result)}\n\nwrote {output}")
    if options["plots"] is not None:
        from bayeslaw.plots import save_backtest

        for path in save_backtest(result, options["plots"]):
            click.echo(f"wrote {path}")
    sys.exit(FAILED_CHECK if (result["failed"] != "").any() else FINISHED)


@main.command()
@_reading_options
@click.option("--along", default="compute", show_default=True, help="A column of positive numbers.")
@click.option("--every", default=0.5, show_default=True, help="Orders of magnitude between windows.")
@click.option("--delta", default=0.3, show_default=True, help="Resolved: known to ± this, relative.")
@click.option("--target", type=float, help="Where windows end; by default the largest value.")
@click.option("--claim", type=float, help="Orders of magnitude of a claim to be judged.")
@_sampling_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Where to write the result: .nc (everything) or .csv (a row a parameter).",
)
@click.option("--plot", type=click.Path(path_type=Path), help="A file for the figure.")
def stability(model: str, table: Path, output: Path, **options: Any) -> None:
    """Say over how many orders of magnitude MODEL's parameters hold on TABLE."""
    from bayeslaw.spans import stability as run
    from bayeslaw.spans import unclean, write_stability
    from bayeslaw.text import stability_text

    check_place(output)
    if output.suffix not in (".nc", ".csv"):
        raise InputError(f"{output}: found {output.suffix or 'no suffix'!r}, allowed: .nc or .csv.")
    spec = _law(model, options)
    data = _read(spec, table, options)
    kept = ("along", "every", "delta", "target", "claim", "draws", "tune", "chains", "seed")
    result = run(spec, data, **{n: options[n] for n in kept})
    write_stability(result, output)
    click.echo(f"{stability_text(result)}\n\nwrote {output}")
    if options["plot"] is not None:
        from bayeslaw.plots import plot_stability, save

        click.echo(f"wrote {save(plot_stability(result), options['plot'])}")
    sys.exit(FAILED_CHECK if unclean(result).any() else FINISHED)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _law(model: str, options: dict[str, Any]) -> Any:
    """Load the law and change what the options say."""
    from bayeslaw.catalogue import change, load_model

    spec = load_model(model)
    changes: dict[str, Any] = {}
    if options["fix"]:
        pairs = _pairs(options["fix"], "--fix", "name=value")
        changes["fix"] = {n: _number(v, "--fix") for n, v in pairs.items()}
    if options["prior"]:
        pairs = _pairs(options["prior"], "--prior", "name=low,high")
        changes["prior"] = {
            n: tuple(_number(part, "--prior") for part in v.split(",")) for n, v in pairs.items()
        }
    if options["discrepancy"] == "none":
        changes["discrepancy"] = None
    return change(spec, **changes) if changes else spec


def _read(spec: Any, table: Path, options: dict[str, Any]) -> Any:
    """Read the table with the reader that the law needs."""
    from bayeslaw.curves import needs_schedule, read_curves
    from bayeslaw.tables import read_table

    rename = _pairs(options["rename"], "--rename", "theirs=ours")
    if needs_schedule(spec):
        if not options["schedule"]:
            raise InputError(
                f"model '{spec.name}' needs schedules: --schedule \"run=cosine(peak=…, end=…, warmup=…, total=…)\" for each run."
            )
        for name in ("k", "join"):
            if options[name] is not None:
                raise InputError(f"--{name} does not apply to model '{spec.name}'.")
        return read_curves(
            table, spec, _schedules(options["schedule"]), where=options["where"], rename=rename
        )
    if options["schedule"]:
        raise InputError(f"--schedule does not apply to model '{spec.name}'.")
    return read_table(
        table, spec, k=options["k"], where=options["where"], join=options["join"],
        on=options["on"], rename=rename, gold=options["gold"],
    )  # fmt: skip


def _finish(fitted: Any, output: Path, folder: Path | None) -> None:
    """Print summary and checks, draw the figures, and exit by the checks."""
    from bayeslaw.diagnostics import checks, summary, worst_level
    from bayeslaw.text import checks_text, summary_text

    found = checks(fitted)
    click.echo(
        f"{fitted.spec.name}: {fitted.spec.title}, {fitted.data.sizes['obs']} rows, method {fitted.method}\n"
    )
    click.echo(summary_text(summary(fitted)))
    click.echo("\n" + checks_text(found))
    click.echo(f"\nwrote {output}")
    if folder is not None:
        from bayeslaw.plots import save_all

        for path in save_all(fitted, folder):
            click.echo(f"wrote {path}")
    sys.exit(FAILED_CHECK if worst_level(found) == "fail" else FINISHED)


@main.command()
@click.argument("fitted", metavar="FIT", type=click.Path(path_type=Path))
@click.option(
    "--at",
    multiple=True,
    metavar="X=V[,V]",
    help="A target's input, as in C=1e24; several inputs go together row by row.",
)
@click.option("--schedule", help="A schedule's text, for laws along a schedule.")
@click.option("--prob", default=0.9, show_default=True, help="Probability of the interval.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write all rows and kinds as CSV.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Draw the forecast into this file (.png, .svg, .pdf)."
)
@click.option("--seed", default=0, show_default=True)
def forecast(
    fitted: Path,
    at: Sequence[str],
    schedule: str | None,
    prob: float,
    output: Path | None,
    plot: Path | None,
    seed: int,
) -> None:
    """Forecast from FIT at targets, or along a schedule that was never run."""
    from bayeslaw.diagnostics import checks, worst_level
    from bayeslaw.files import write_text
    from bayeslaw.forecasting import forecast as run
    from bayeslaw.result import load_fit
    from bayeslaw.text import checks_text, forecast_text

    for path in (output, plot):
        if path is not None:
            check_place(path)
    fit_ = load_fit(fitted)
    result = run(fit_, _targets(at), prob, schedule=schedule, seed=seed)
    click.echo(forecast_text(result))
    found = [*_checks_of(result), *(c for c in checks(fit_) if c.level != "ok")]
    click.echo("\n" + checks_text(found))
    if output is not None:
        write_text(output, result.to_dataframe().to_csv())
        click.echo(f"wrote {output}")
    if plot is not None:
        from bayeslaw.plots import plot_forecast, save

        save(plot_forecast(fit_, result), plot)
        click.echo(f"wrote {plot}")
    sys.exit(FAILED_CHECK if worst_level(found) == "fail" else FINISHED)


def _targets(at: Sequence[str]) -> dict[str, list[float]] | None:
    """Read --at options; None if there are none."""
    pairs = _pairs(at, "--at", "name=value")
    return {n: [_number(v, "--at") for v in text.split(",")] for n, text in pairs.items()} or None


def _checks_of(result: Any) -> list:
    from bayeslaw.check import from_json

    return from_json(result.attrs["checks"])


@main.command()
@click.argument("fits", metavar="FIT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--ahead", is_flag=True, help="Fit again to growing windows: how each law foretells rows ahead."
)
@click.option("--along", metavar="COL", help="The column along which windows grow, with --ahead.")
@_sampling_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the table as CSV.")
def compare(fits: Sequence[Path], output: Path | None, **options: Any) -> None:
    """Compare FITs of several laws to the same rows; a law is called by its file's name.

    The draws, tune, chains and seed are of the fits that --ahead makes.
    """
    from bayeslaw.comparison import compare as run
    from bayeslaw.diagnostics import worst_level
    from bayeslaw.files import write_text
    from bayeslaw.result import load_fit
    from bayeslaw.text import comparison_text

    if output is not None:
        check_place(output)
    table = run(_by_stem(fits, [load_fit(path) for path in fits]), **options)
    click.echo(comparison_text(table))
    if output is not None:
        write_text(output, table.to_csv())
        click.echo(f"wrote {output}")
    sys.exit(FAILED_CHECK if worst_level(table.attrs["checks"]) == "fail" else FINISHED)


@main.command()
@click.argument("fits", metavar="FIT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Where to write the page (HTML)."
)
@click.option(
    "--at",
    multiple=True,
    metavar="X=V[,V]",
    help="A target's input, as in C=1e24; by default one order of magnitude beyond the data.",
)
@click.option("--schedule", help="A schedule's text, for laws along a schedule.")
@click.option("--prob", default=0.9, show_default=True, help="Probability of the intervals.")
@click.option("--stability", type=click.Path(path_type=Path), help="A file of `bayeslaw stability`.")
@click.option("--backtest", type=click.Path(path_type=Path), help="A file of `bayeslaw backtest` (.nc).")
@click.option(
    "--compare", "side_by_side", is_flag=True, help="Also compare the fits, which need the same rows."
)
def report(
    fits: Sequence[Path],
    output: Path,
    at: Sequence[str],
    schedule: str | None,
    prob: float,
    side_by_side: bool,
    **studies: Path | None,
) -> None:
    """Write what FITs say, and how far it can be trusted, as one HTML page."""
    from bayeslaw.report_text import failed
    from bayeslaw.reporting import read_study, reported
    from bayeslaw.result import load_fit

    check_place(output)
    loaded = [load_fit(path) for path in fits]
    given = {n: None if path is None else read_study(path) for n, path in studies.items()}
    comparison = _comparison(fits, loaded) if side_by_side else None
    _, cases = reported(loaded, output, _targets(at), schedule, prob, comparison=comparison, **given)
    click.echo(f"wrote {output}")
    bad = [path for path, case in zip(fits, cases, strict=True) if failed(case)]
    for path in bad:
        click.echo(f"[fail] {path}: it, or a forecast by it, failed a check; the page says which")
    sys.exit(FAILED_CHECK if bad else FINISHED)


def _by_stem(paths: Sequence[Path], fits: Sequence[Any]) -> dict[str, Any]:
    """Call each fit by its file's name."""
    names = [path.stem for path in paths]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(
            f"compare: two files are called {twice[0]!r}; give each law's file a name of its own."
        )
    return dict(zip(names, fits, strict=True))


def _comparison(paths: Sequence[Path], fits: Sequence[Any]) -> Any:
    from bayeslaw.comparison import compare as run

    if len(paths) < 2:
        raise InputError("--compare: needs two fits or more.")
    return run(_by_stem(paths, fits))


@main.command()
@click.option(
    "-o",
    "--output",
    default="bayeslaw-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The folder to write.",
)
def demo(output: Path) -> None:
    """Fit and forecast on data that ships with the package; writes a folder with a page."""
    from bayeslaw.demo import run

    run(output, click.echo)
