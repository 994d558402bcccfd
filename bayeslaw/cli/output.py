"""Say, write and end, as all commands do: stages, lines, exit codes, unexpected errors."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bayeslaw.core.errors import InputError
from bayeslaw.core.outputs import FIGURES, check_outputs, check_suffix
from bayeslaw.core.progress import work

FINISHED, FAILED_CHECK, BAD_INPUT, UNEXPECTED, STOPPED = 0, 1, 2, 3, 130
_STAGE, _WRITTEN, _STORE, _DEBUG = (f"bayeslaw.{name}" for name in ("stage", "written", "store", "debug"))
STUDIES = (".nc", ".csv")
"""How the file of a study may end."""


class Commands(click.Group):
    """A group whose commands end with one message and an exit code, whatever goes wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an unexpected error becomes one line, and a traceback with ``--debug``."""
        try:
            with work("bayeslaw"):
                return super().invoke(ctx)
        except InputError as error:
            self.end(ctx, BAD_INPUT, str(error))
        except KeyboardInterrupt:
            self.end(ctx, STOPPED, f"stopped{_while(ctx)}; {_written(ctx)}.")
        # Click's own errors have their own words and code.
        except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit):
            raise
        except BaseException as error:  # the sampler's panic is no Exception
            self.end(ctx, UNEXPECTED, _unexpected(ctx, error))

    def end(self, ctx: click.Context, code: int, message: str) -> None:
        """Say why a command ends, on one line, and end it."""
        if ctx.meta.get(_DEBUG):
            import traceback

            traceback.print_exc()
        try:
            click.echo(f"bayeslaw: {message}", err=True)
        except OSError:  # standard error is closed: the code alone must do
            pass
        ctx.exit(code)


def _unexpected(ctx: click.Context, error: BaseException) -> str:
    """Say in one line what went wrong where, and how to see more."""
    kind, told = type(error).__name__, " ".join(str(error).split())
    what = f"{kind}: {told[:300]}" if told else kind
    advice = "run the command again with --debug for the traceback"
    if isinstance(error, MemoryError):
        what, advice = "the memory is full", "take fewer draws, chains or rows"
    return f"unexpected error{_while(ctx)}: {what}; {_written(ctx)}; {advice}."


def _while(ctx: click.Context) -> str:
    stage_ = ctx.meta.get(_STAGE)
    return f" while {stage_}" if stage_ else ""


def _written(ctx: click.Context) -> str:
    done, store = ctx.meta.get(_WRITTEN) or [], ctx.meta.get(_STORE)
    written = f"written: {', '.join(map(str, done))}" if done else "nothing was written"
    if store is None:
        return written
    kept = sum(1 for _ in Path(store).glob("*.json"))
    return f"{written}; {store} keeps what was finished, {kept} file(s): the same command goes on from there"


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Name the stage that a command is at, for its progress and for what may go wrong there.

    Parameters
    ----------
    what : str
        As in "while …": reading, fitting, drawing, writing.
    """
    meta = click.get_current_context().meta
    before = meta.get(_STAGE)
    meta[_STAGE] = what
    with work(what):
        yield
    meta[_STAGE] = before  # not if it fails: then it is what is told


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Enter the stage of writing a file, and remember it as written for what may go wrong later."""
    with stage(f"writing {path}"):
        yield
    remember(path)


def remember(path: Path) -> None:
    """Remember a file, or a folder that is being filled, as written."""
    done = click.get_current_context().meta.setdefault(_WRITTEN, [])
    if path not in done:
        done.append(path)


def remember_store(folder: Path) -> None:
    """Remember where a study keeps what is finished."""
    click.get_current_context().meta[_STORE] = folder


def say(text: str) -> None:
    """Print a line; when nobody reads on, as behind ``| head``, the work goes on in silence."""
    try:
        click.echo(text)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EINVAL):
            raise
        # What is still in the buffer would fail again when the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def wrote(*paths: Path) -> None:
    """Say what was written."""
    for path in paths:
        remember(path)
    for path in paths:
        say(f"wrote {path}")


def settle_outputs(
    inputs: Mapping[str, Path | Iterable[Path] | None],
    *,
    output: Path | None = None,
    study: Path | None = None,
    plot: Path | None = None,
    plots: Iterable[tuple[str, Path | None]] = (),
) -> None:
    """Refuse, before any work is done, what could not be written or would replace something.

    Parameters
    ----------
    inputs : mapping of str to path, paths or None
        What the command reads, by its name in the usage.
    output, study : path, optional
        What ``-o`` names; a study's file ends in .nc or .csv.
    plot : path, optional
        What ``--plot`` names.
    plots : iterable of (str, path)
        What ``--plots`` would write into its folder, see `outputs.folder_outputs`.

    Raises
    ------
    InputError
    """
    if study is not None:
        check_suffix(study, STUDIES, "the result's name")
    if plot is not None:
        check_suffix(plot, FIGURES, "a figure's name")
    read = [
        (name, path)
        for name, given in inputs.items()
        for path in ([given] if given is None or isinstance(given, Path) else given)
    ]
    check_outputs([("-o", output), ("-o", study), ("--plot", plot), *plots], read)


def model_file(model: str) -> Path | None:
    """Return the file that MODEL names; None for a shipped law."""
    return Path(model) if model.endswith(".toml") else None


def exit_by(failed: bool) -> None:
    """End a command that did its work: with code 1 if a check failed."""
    sys.exit(FAILED_CHECK if failed else FINISHED)


def debug_option() -> click.Option:
    """Return ``--debug``, for every command."""

    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        ctx.meta[_DEBUG] = value or ctx.meta.get(_DEBUG, False)

    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, is_eager=True, callback=remember,
        help="Show the traceback of what goes wrong.",
    )  # fmt: skip
