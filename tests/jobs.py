"""What workers are given to do in tests: light, at the top of a module that they can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number * number


def slow_square(number: int) -> int:
    time.sleep(0.02 * (number % 3))
    return number * number


def sleep_and_tell(folder: str) -> None:
    """Say which process it is, and sleep for longer than any test."""
    (Path(folder) / f"{os.getpid()}.pid").touch()
    time.sleep(600)


def die_first(job: tuple[str, int]) -> int:
    """Be killed the first so many times."""
    folder, deaths = job
    died = len(list(Path(folder).glob("death-*")))
    if died < deaths:
        (Path(folder) / f"death-{died}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def unsendable(number: int) -> object:
    return lambda: number


# ---- asked of a fit


def rows_of(fitted, given):
    """Return how many rows were fitted; write a line where one counts who asks."""
    if "log" in given:
        with open(given["log"], "a", encoding="ascii") as log:
            log.write(f"{given.get('more', 0)} {os.getpid()}\n")
    return fitted.data.sizes["obs"] + given.get("more", 0)


def optimum(fitted, given):
    """Return numbers of every kind that the fit has."""
    return {"point": fitted.tree["point"].to_dataset(), "nothing": None, "many": (float("nan"), [1, "a"])}
