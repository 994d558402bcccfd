"""Work in a process of its own: jobs come in and results go out through one socket."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from multiprocessing.connection import Connection
from typing import Any

READY, DONE, RAISED = "ready", "done", "raised"
REST = 60.0
"""Seconds without a job after which a process ends."""
_BUSY_WITH = "bayeslaw: on a worker process:\n"


def serve(descriptor: int) -> None:
    """Work until nothing comes for long, or the other end is closed, as it is when that process ends in whatever way.

    Parameters
    ----------
    descriptor : int
        Of the socket.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the study's to handle
    os.set_inheritable(descriptor, False)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    with Connection(descriptor) as jobs:
        try:
            jobs.send((READY, None))
            while jobs.poll(REST):
                _answer(jobs, *_worked(jobs))
        except (EOFError, ConnectionError):
            return


def _worked(jobs: Connection) -> tuple[str, Any]:
    try:
        work, job = jobs.recv()
        return DONE, work(job)
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        error.add_note(_BUSY_WITH + traceback.format_exc())
        return RAISED, error


def _answer(jobs: Connection, kind: str, result: Any) -> None:
    try:
        jobs.send((kind, result))
    except (EOFError, ConnectionError):
        raise
    except Exception as error:  # what cannot be sent: told in words
        jobs.send(
            (
                RAISED,
                RuntimeError(f"a worker could not send what it found: {error!r}; it was {result!r:.300}"),
            )
        )
