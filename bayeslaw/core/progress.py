"""Show how far long work has come: a bar where somebody watches, a line every ten seconds where nobody does."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bayeslaw.core.errors import check_type

EVERY = 10.0
"""Seconds between two lines; work that takes less prints none."""


@dataclass(eq=False)
class Work:
    """Work in progress: what it is, how much of it is done, and what more there is to say of it."""

    what: str
    total: int = 0
    done: int = 0
    more: Callable[[], str] | None = None

    def update(self, done: int) -> None:
        """Remember how much is done."""
        self.done = done

    def said(self) -> str:
        """Return what more there is to say, in brackets."""
        return f" ({self.more()})" if self.more is not None else ""


_running: list[Work] = []
"""A line speaks of the last of these, since a part begins after the whole."""
_open: list[Work] = []
"""The same, and what is shown in another way or not at all."""


def visible() -> bool:
    """Return whether somebody is there to see a progress bar: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def shows(progress: bool | None) -> bool:
    """Return whether `progress`, as every public function takes it, asks for a bar; refuse anything else."""
    if progress is None:
        return visible()
    check_type("progress", progress, bool, "True, False, or None: where somebody can see it")
    return progress


@contextmanager
def work(what: str, total: int = 0, progress: bool | None = None) -> Iterator[Callable[[int], None]]:
    """Report on standard error how far work has come that may take a while.

    Parameters
    ----------
    what : str
        Its label.
    total : int
        How many steps it has; without steps there is no bar.
    progress : bool, optional
        True shows a bar, False nothing. By default a bar where somebody can see it, and else, as in
        a log, a line every ten seconds: what, how many of how many, and the seconds since the whole
        of it began.

    Yields
    ------
    callable
        Called with the number done.
    """
    bar, one = shows(progress), Work(what, total)
    _open.append(one)
    try:
        if progress is None and not bar:
            with _lines(one) as on_step:
                yield on_step
        elif not total or not bar:
            yield lambda done: None
        else:
            with _bar(one) as on_step:
                yield on_step
    finally:
        _open.remove(one)


def tell_more(more: Callable[[], str]) -> None:
    """Say more of the work that was begun last than how much of it is done.

    Parameters
    ----------
    more : callable
        Returns it, whenever it is asked.
    """
    for one in _open[-1:]:
        one.more = more


def aside(text: str) -> None:
    """Say on standard error what must not be silent and yet stops nothing.

    Parameters
    ----------
    text : str
    """
    with suppress(OSError, ValueError):  # standard error is closed: nobody listens
        print(f"bayeslaw: {text}", file=sys.stderr, flush=True)


@contextmanager
def _bar(one: Work) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(one.what, total=one.total)
        yield lambda done: progress.update(task, completed=done, description=one.what + one.said())


@contextmanager
def _lines(one: Work) -> Iterator[Callable[[int], None]]:
    """Report from a thread of its own, since the work itself may be one long call."""
    whole = not _running
    _running.append(one)
    stopped = threading.Event()
    speaker = threading.Thread(target=_speak, args=(stopped.wait,), daemon=True)
    if whole:
        speaker.start()
    try:
        yield one.update
    finally:
        _running.remove(one)
        stopped.set()
        if whole:
            speaker.join()


def _speak(wait: Callable[[float], bool]) -> None:
    for line in lines(wait):
        try:
            print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError):  # standard error is closed: nobody listens
            return


def lines(wait: Callable[[float], bool], clock: Callable[[], float] = time.monotonic) -> Iterator[str]:
    """Yield a line about the work in progress, every ten seconds.

    Parameters
    ----------
    wait : callable
        Waits for some seconds and returns whether all is done, as `threading.Event.wait` does.
    clock : callable
        Returns seconds.

    Yields
    ------
    str
    """
    start = clock()
    while not wait(EVERY):
        for one in _running[-1:]:
            count = f": {one.done:,} of {one.total:,}" if one.total else ""
            yield f"{one.what}{count}{one.said()}, {clock() - start:.0f} s"
