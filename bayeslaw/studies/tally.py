"""Count a study's tasks, and say how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable

from bayeslaw.studies.running.base import Runner


class Tally:
    """What became of tasks so far.

    Parameters
    ----------
    count : int
        How many there will be.
    where : Runner, optional
        Whoever runs them.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self, count: int, where: Runner | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.done = self.failed = self._computed = 0
        self._count, self._where, self._clock, self._start = count, where, clock, clock()

    def step(self, failed: bool, computed: bool) -> None:
        """Count a task.

        Parameters
        ----------
        failed : bool
        computed : bool
            Whether it took a while; what is in a store takes none.
        """
        self.done += 1
        self.failed += failed
        self._computed += computed

    def text(self) -> str:
        """Return how many tasks are running, how many failed, and the time left.

        Returns
        -------
        str
        """
        left = self._count - self.done
        running = 0 if self._where is None else min(self._where.running, left)
        parts = [f"{running} running", f"{self.failed} failed"]
        if self._computed and left:
            seconds = (self._clock() - self._start) / self._computed * left
            parts.append(f"{_duration(seconds)} left")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    """Write a time as roughly as it is known."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
