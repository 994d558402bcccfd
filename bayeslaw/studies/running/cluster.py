"""Run jobs on a Dask cluster, which moves a dead worker's jobs to others."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bayeslaw.core.errors import InputError, shown
from bayeslaw.studies.running.base import Lost

if TYPE_CHECKING:
    from distributed import Client

_AHEAD = 2
"""Jobs under way for each thread of a worker: one that runs, one that waits beside it."""
_LOOK = 1.0
"""Seconds between two looks at who works."""
_CONNECT = 10.0


class Cluster:
    """The workers of a client's cluster.

    Parameters
    ----------
    client : distributed.Client
    own : bool
        Whether the client ends with the study.
    """

    def __init__(self, client: Client, own: bool) -> None:
        self._client, self._own = client, own
        self._under_way, self._threads, self._looked = 0, 0, -_LOOK

    @property
    def running(self) -> int:
        """How many jobs are being worked on."""
        return min(self._under_way, self._threads)

    def each(self, work: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each job with its result, see `bayeslaw.studies.running.base.Runner`."""
        from distributed import as_completed

        finished = as_completed(with_results=True, raise_errors=False, loop=self._client.loop)
        jobs, waiting = iter(jobs), {}
        try:
            while True:
                for job in self._next(jobs):
                    future = self._client.submit(work, job, pure=False)
                    waiting[future.key] = job, future
                    self._under_way = len(waiting)
                    finished.add(future)
                if not waiting:
                    return
                future, result = next(finished)
                job, _ = waiting.pop(future.key)
                self._under_way = len(waiting)
                yield job, self._settled(future, result)
        except Exception as error:
            if self._client.status == "running" or isinstance(error, InputError):
                raise
            raise _gone(type(error).__name__) from None
        finally:
            if self._client.status == "running":
                self._client.cancel([future for _, future in waiting.values()])
            self._under_way = 0

    def close(self) -> None:
        """Leave the cluster."""
        if self._own:
            self._client.close()

    def _next(self, jobs: Iterator[Any]) -> Iterator[Any]:
        """Yield jobs until enough of them are under way."""
        while self._under_way < self._room():
            try:
                job = next(jobs)
            except StopIteration:
                return
            yield job

    def _room(self) -> int:
        """Return how many jobs may be under way; workers come and go."""
        if time.monotonic() - self._looked >= _LOOK:
            self._threads, self._looked = sum(self._client.nthreads().values()), time.monotonic()
        return max(_AHEAD * self._threads, 1)

    def _settled(self, future: Any, result: Any) -> Any:
        """Return a job's result; what it raised is raised here."""
        from distributed import KilledWorker

        broken = isinstance(result, BaseException)  # instead of a result: it was cancelled meanwhile
        if future.status == "finished" and not broken:
            return result
        if future.status != "error":  # cancelled, lost
            raise _gone(future.status)
        _, error, trace = result
        if isinstance(error, KilledWorker):
            return Lost(f"{error.allowed_failures + 1} workers died over it")
        raise error.with_traceback(trace)


def _gone(why: str) -> InputError:
    return InputError(
        f"on: the cluster gave up a task ({why}), as it does when its scheduler ends; what was finished is in the store, where "
        "there is one: run the study again with a cluster that is there."
    )


def cluster(on: Any) -> Cluster:
    """Join a Dask cluster.

    Parameters
    ----------
    on : distributed.Client or str
        A client, or the address of a scheduler.

    Returns
    -------
    Cluster

    Raises
    ------
    InputError
        If distributed is not installed, or nobody answers at the address.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "on: a cluster needs Dask, which is not installed: pip install 'bayeslaw[cluster]'."
        ) from None
    if isinstance(on, Client):
        if on.asynchronous or on.status != "running":
            raise InputError(
                f"on: found a client that is {_state(on)}, allowed: a running one, as Client(…) returns it."
            )
        return Cluster(on, own=False)
    if not isinstance(on, str) or not re.fullmatch(r"\w+://\S+", on):
        raise InputError(
            f"on: found {shown(on)}, allowed: a distributed.Client, or the address of a scheduler, such as tcp://host:8786."
        )
    try:
        client = Client(on, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:  # a time that is out is an OSError, too
        why = " ".join(str(error).split()) or type(error).__name__
    else:
        return Cluster(client, own=True)
    # Half-made, the client closes itself when it is collected; in the midst of another's start that never ends.
    gc.collect()
    raise InputError(
        f"on: nobody answers at {on} ({why}); start a scheduler there (dask scheduler), or give another address."
    )


def _state(client: Client) -> str:
    return "asynchronous" if client.asynchronous else client.status
