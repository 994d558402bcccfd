"""Run jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Here:
    """Whoever asks: this process."""

    running = 1

    def each(self, work: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each job with its result, see `bayeslaw.studies.running.base.Runner`."""
        for job in jobs:
            yield job, work(job)

    def close(self) -> None:
        """Do nothing: this process goes on."""
