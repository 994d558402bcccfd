"""One progress bar for every long loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str, total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error.

    Parameters
    ----------
    what : str
        Its label.
    total : int
    shown : bool
        Whether to show it at all.

    Yields
    ------
    callable
        Called with the number done.
    """
    if not shown or not total:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
