"""Run jobs in processes of their own, each a fresh interpreter; one that dies is replaced, its job run again.

A process that has nothing to do rests for a minute, for the next study: to import and to compile takes seconds.

`multiprocessing` would run the user's script anew in each process, down to the call of the study that is being
run; and `concurrent.futures` gives all jobs up when one process is killed.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from bayeslaw.core.errors import InputError
from bayeslaw.studies.running.base import TRIES, Lost
from bayeslaw.studies.running.worker import RAISED, READY

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from bayeslaw.studies.running.worker import serve; serve(int(sys.argv[1]))"
)
_PATIENCE = 5.0
"""Seconds that a process is given to end."""


@dataclass(eq=False)
class _Waiting:
    """A job, and how many workers died over it."""

    job: Any
    deaths: int = 0


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen
    line: Connection
    home: tuple[Any, ...]
    ready: bool = False
    at: _Waiting | None = None


_resting: list[_Worker] = []


class Processes:
    """Up to so many processes, started when there is work for them.

    Parameters
    ----------
    most : int
    """

    def __init__(self, most: int) -> None:
        self._most, self._workers, self._stillborn = most, [], 0

    @property
    def running(self) -> int:
        """How many processes are at work."""
        return sum(worker.at is not None for worker in self._workers)

    def each(self, work: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each job with its result, see `bayeslaw.studies.running.base.Runner`."""
        again: deque[_Waiting] = deque()
        fresh = map(_Waiting, jobs)
        try:
            while True:
                self._hand_out(work, again, fresh)
                if not self.running:
                    return
                for worker in self._with_news():
                    yield from self._heard(worker, work, again, fresh)
        finally:
            self._dismiss([worker for worker in self._workers if worker.at is not None])

    def close(self) -> None:
        """Let those processes rest that have nothing to do, and end the others."""
        rest = [worker for worker in self._workers if worker.ready and worker.at is None]
        self._dismiss([worker for worker in self._workers if worker not in rest])
        self._workers.clear()
        _resting.extend(rest)

    def _hand_out(self, work: Any, again: deque[_Waiting], fresh: Iterator[_Waiting]) -> None:
        """Give a job to everybody who has none, as long as there are jobs."""
        for place in range(self._most):
            if place < len(self._workers) and self._workers[place].at is not None:
                continue
            one = again.popleft() if again else next(fresh, None)
            if one is None:
                return
            if place == len(self._workers):
                self._workers.append(_hired())
            self._workers[place].at = one
            if self._workers[place].ready:
                _send(self._workers[place], work)

    def _with_news(self) -> list[_Worker]:
        lines = {worker.line: worker for worker in self._workers}
        return [lines[line] for line in wait(list(lines))]

    def _heard(
        self, worker: _Worker, work: Any, again: deque[_Waiting], fresh: Iterator[_Waiting]
    ) -> Iterator[tuple[Any, Any]]:
        """Take a worker's message, or notice its death; give it the next job before its result is looked at."""
        try:
            kind, result = worker.line.recv()
        except (EOFError, ConnectionError):
            yield from self._buried(worker, again)
            return
        if kind == READY:
            worker.ready, self._stillborn = True, 0
            if worker.at is not None:
                _send(worker, work)
            return
        done, worker.at = worker.at, None
        if kind == RAISED:
            raise result
        self._hand_out(work, again, fresh)
        yield done.job, result

    def _buried(self, worker: _Worker, again: deque[_Waiting]) -> Iterator[tuple[Any, Any]]:
        """Put a dead worker's job back, or give it up."""
        self._dismiss([worker])
        code, one = worker.process.returncode, worker.at
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= TRIES:
                raise InputError(
                    f"jobs: {TRIES} worker processes in a row ended before they began ({_ended(code)}); see what they say on "
                    "standard error, or take jobs=1."
                )
        elif one is not None:
            one.deaths += 1
            if one.deaths >= TRIES:
                yield one.job, Lost(f"{TRIES} worker processes died over it, the last one {_ended(code)}")
                return
        if one is not None:
            again.append(one)

    def _dismiss(self, workers: list[_Worker]) -> None:
        self._workers = [worker for worker in self._workers if worker not in workers]
        _end(workers)


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.line.close()  # one that has nothing to do ends by itself
        if worker.at is not None:
            worker.process.kill()
    for worker in workers:
        try:
            worker.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


@atexit.register
def end_resting() -> None:
    """End the processes that rest."""
    # A fork has its parent's, which it must leave alone.
    _end([worker for worker in _resting if worker.home[0] == os.getpid()])
    _resting.clear()


def _hired() -> _Worker:
    """Return a process that rests, or a new one."""
    over = [worker for worker in _resting if worker.process.poll() is not None]
    for worker in over:
        _resting.remove(worker)
    _end(over)
    for worker in _resting:
        if worker.home == _home():
            _resting.remove(worker)
            return worker
    return _started()


def _home() -> tuple[Any, ...]:
    """Return what a process is started with."""
    return os.getpid(), os.getcwd(), *sys.path


def _started() -> _Worker:
    """Start an interpreter that finds modules where this one does, at the other end of a socket."""
    if sys.platform == "win32":
        raise InputError(
            "jobs: worker processes need Linux or macOS; take jobs=1, or on= with the address of a Dask cluster."
        )
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        command = [sys.executable, "-c", _START, str(number), json.dumps(sys.path)]
        process = subprocess.Popen(command, pass_fds=[number], stdin=subprocess.DEVNULL)
    return _Worker(process, Connection(ours.detach()), _home())


def _send(worker: _Worker, work: Any) -> None:
    with suppress(ConnectionError):  # it died: that is noticed when it is listened to
        worker.line.send((work, worker.at.job))


def _ended(code: int) -> str:
    """Say how a process ended."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"by {name}" + (", as when the memory is full" if name == "SIGKILL" else "")
    return f"with exit code {code}"
