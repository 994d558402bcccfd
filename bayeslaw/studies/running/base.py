"""What runs jobs: the protocol, and what is said of a job that never ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

TRIES = 3
"""So many workers may die over a job until it is given up."""


@dataclass(frozen=True)
class Lost:
    """A job without a result: whoever worked on it died, each time."""

    why: str


class Runner(Protocol):
    """Runs jobs, some at a time; open for as long as a study has any."""

    @property
    def running(self) -> int:
        """How many jobs are being worked on."""
        ...

    def each(self, work: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each job with its result, or `Lost`, as they are finished.

        Parameters
        ----------
        work : callable
            job -> result: a function at the top of a module. What it raises is raised here.
        jobs : iterable
            Drawn when there is somebody to work on them: no more than a few a worker are under way.
        """
        ...

    def close(self) -> None:
        """End whoever works."""
        ...
