"""Learning-rate schedules: from a line of text to a rate for every step, and the areas under it.

Steps run from 0 to `total` inclusive, and areas count from step 0, as in arXiv:2408.11029.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.core.errors import InputError, did_you_mean, shown

MAX_STEPS = 2_000_000
"""No run has more; at twenty million a forecast would not end."""


@dataclass(frozen=True)
class Schedule:
    """A learning rate for every step of a run.

    Attributes
    ----------
    text : str
        What it was made from.
    lr : numpy.ndarray, shape (total + 1,)
        Learning rate at steps 0 … total.
    warmup : int
        Number of warm-up steps; the law holds from there on.
    """

    text: str
    lr: np.ndarray
    warmup: int

    @property
    def total(self) -> int:
        """The last step."""
        return len(self.lr) - 1

    @property
    def first(self) -> int:
        """The first step that a law speaks of: behind warm-up, with something trained."""
        trained = np.flatnonzero(self.lr > 0)[0]
        return int(min(max(self.warmup, trained), self.total))

    def area(self, steps: np.ndarray) -> np.ndarray:
        """Return S1 at `steps`: the sum of learning rates from step 0 up to and including each."""
        return np.cumsum(self.lr)[steps]

    def drops(self) -> np.ndarray:
        """Return the fall of the learning rate at each step, shape (total + 1,).

        Warm-up's rises are left out (arXiv:2408.11029 has no warm-up in its annealing area);
        a later re-warm-up counts, as a negative fall.
        """
        drops = np.zeros_like(self.lr)
        start = self.warmup + 1
        drops[start:] = self.lr[start - 1 : -1] - self.lr[start:]
        return drops


def parse_schedule(text: str, logged: tuple[np.ndarray, np.ndarray] | None = None) -> Schedule:
    """Make a schedule from its text.

    Parameters
    ----------
    text : str
        One of the following, with numbers for the names; ``hold=true`` keeps the peak rate during
        warm-up instead of a linear rise from zero (as papers that ignore warm-up do):

        - ``constant(peak, total, warmup=0, hold=false)``
        - ``cosine(peak, end, total, warmup=0, hold=false)``
        - ``wsd(peak, end, stable, total, decay='linear', warmup=0, hold=false)``: constant up to
          step `stable`, then down to `end`; decay is linear, exponential, cosine or sqrt
        - ``step(peak, at, to, total, warmup=0, hold=false)``: from step `at` on the rate is `to`
          (numbers, or lists of equal length)
        - ``points(steps, lr, warmup=0)``: straight lines between the given points
        - ``logged(warmup=0, hold=false)``: straight lines between the rates in the table's ``lr``
          column, and a warm-up before the first
    logged : (steps, lr), optional
        What ``logged`` refers to, arrays of one shape.

    Returns
    -------
    Schedule

    Raises
    ------
    InputError
        If the text is no such call, or its numbers make no schedule.
    """
    kind, values = _call(text)
    if kind not in _KINDS:
        raise InputError(f"schedule {_short(text)}: unknown kind {kind!r}{did_you_mean(kind, _KINDS)}")
    build, required, optional = _KINDS[kind]
    allowed = {*required, *optional}
    for name in values:
        if name not in allowed:
            raise InputError(
                f"schedule {_short(text)}: unknown setting {name!r}{did_you_mean(name, allowed)}"
            )
    for name in required:
        if name not in values:
            raise InputError(f"schedule {_short(text)}: {kind} needs {name}=…; add it.")
    settings = {**optional, **values}
    if kind == "logged":
        _check_logged(text, logged)
        settings |= {"steps": list(map(float, logged[0])), "lr": list(map(float, logged[1]))}
    _check_settings(text, settings)
    lr = build(settings)
    warmup = int(settings["warmup"])
    if not settings.get("hold", True) and warmup:
        lr[:warmup] = np.linspace(0.0, lr[warmup], warmup)
    if not (np.isfinite(lr).all() and (lr >= 0).all() and lr.max() > 0):
        raise InputError(
            f"schedule {_short(text)}: learning rates must be finite, not negative, and not all zero."
        )
    return Schedule(text, lr, warmup)


def _check_logged(text: str, logged: Any) -> None:
    """Refuse what is no pair of arrays of numbers."""
    if logged is None:
        raise InputError(f"schedule {_short(text)}: there is no table with an 'lr' column to read from.")
    try:
        steps, rates = (np.asarray(part, dtype=float) for part in logged)
        fine = steps.ndim == 1 and steps.shape == rates.shape and np.isfinite([steps, rates]).all()
    except (TypeError, ValueError):
        fine = False
    if not fine:
        raise InputError(
            f"schedule {_short(text)}: logged: found {shown(logged)}, allowed: steps and rates, two arrays of one length."
        )


def _short(text: Any) -> str:
    """Quote a schedule's text in a message, its beginning if it is long."""
    return shown(text, 200)


def _call(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``kind(name=value, …)``; values are numbers, lists of numbers, words, true or false."""
    problem = InputError(
        f"schedule {_short(text)}: expected kind(name=value, …), as in "
        f"'cosine(peak=3e-4, end=3e-5, warmup=2160, total=24000)'; kinds: {', '.join(_KINDS)}."
    )
    if not isinstance(text, str) or len(text) > 100_000:
        raise problem
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise problem from None
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args):
        raise problem
    names = [k.arg for k in node.keywords]
    if None in names or len(set(names)) < len(names):  # **x, or one name twice
        raise problem
    try:
        return node.func.id, {k.arg: _value(k.value) for k in node.keywords}
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise problem from None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in ("true", "false"):
        return node.id == "true"
    value = ast.literal_eval(node)
    if isinstance(value, str | bool):
        return value
    numbers = value if isinstance(value, list | tuple) else [value]
    if not all(type(v) in (int, float) and math.isfinite(v) for v in numbers):
        raise ValueError
    return [float(v) for v in numbers] if isinstance(value, list | tuple) else float(value)


def _check_settings(text: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings of the wrong type, and steps that are out of order."""
    for name, value in settings.items():
        wanted, fine = "a number", isinstance(value, float | int) and not isinstance(value, bool)
        if name == "hold":
            wanted, fine = "true or false", isinstance(value, bool)
        elif name == "decay":
            wanted, fine = f"one of {', '.join(_DECAYS)}", isinstance(value, str) and value in _DECAYS
        elif name in ("at", "to"):
            wanted, fine = "a number or a list of numbers", fine or isinstance(value, list)
        elif name in ("steps", "lr"):
            wanted, fine = "a list of two or more numbers", isinstance(value, list) and len(value) > 1
        elif name in ("warmup", "total", "stable"):
            wanted, fine = (
                f"a whole number from 0 to {MAX_STEPS} (count optimiser steps, not tokens)",
                fine and value == int(value) and 0 <= value <= MAX_STEPS,
            )
        elif name in ("peak", "end"):
            wanted, fine = "a number, 0 or more", fine and value >= 0
        if not fine:
            raise InputError(f"schedule {_short(text)}: {name}={value!r}, expected {wanted}.")
    steps = settings.get("steps")
    total = settings["total"] if steps is None else steps[-1]
    order = [settings["warmup"], settings.get("stable", settings["warmup"]), total]
    if order != sorted(order) or settings["warmup"] >= total:
        raise InputError(
            f"schedule {_short(text)}: steps must be in the order warmup ≤ stable ≤ total, warmup < total."
        )
    if steps is not None and (
        len(steps) != len(settings["lr"])
        or not all(a < b for a, b in itertools.pairwise(steps))
        or steps[0] < 0
        or steps[-1] > MAX_STEPS
    ):
        raise InputError(
            f"schedule {_short(text)}: 'steps' must rise, from 0 to at most {MAX_STEPS}, and have as many entries as 'lr'."
        )
    at, to = _list(settings.get("at", [])), _list(settings.get("to", []))
    if len(at) != len(to) or at != sorted(at) or any(not 0 <= a <= total for a in at):
        raise InputError(
            f"schedule {_short(text)}: 'at' must rise, lie in 0 … total, and have as many entries as 'to'."
        )


def _list(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]


def _steps(s: Mapping) -> np.ndarray:
    return np.arange(int(s["total"]) + 1, dtype=float)


def _constant(s: Mapping) -> np.ndarray:
    return np.full(int(s["total"]) + 1, s["peak"])


def _cosine(s: Mapping) -> np.ndarray:
    done = np.clip((_steps(s) - s["warmup"]) / (s["total"] - s["warmup"]), 0, 1)
    return _DECAYS["cosine"](s["peak"], s["end"], done)


def _wsd(s: Mapping) -> np.ndarray:
    if s["decay"] == "exponential" and s["end"] <= 0:
        raise InputError("schedule wsd: an exponential decay needs end > 0.")
    done = np.clip((_steps(s) - s["stable"]) / max(s["total"] - s["stable"], 1), 0, 1)
    return _DECAYS[s["decay"]](s["peak"], s["end"], done)


def _step(s: Mapping) -> np.ndarray:
    lr = _constant(s)
    for at, to in zip(_list(s["at"]), _list(s["to"]), strict=True):
        lr[math.ceil(at) :] = to
    return lr


def _points(s: Mapping) -> np.ndarray:
    return np.interp(np.arange(int(s["steps"][-1]) + 1), s["steps"], s["lr"])


_DECAYS: dict[str, Callable] = {
    "linear": lambda peak, end, done: peak + (end - peak) * done,
    "exponential": lambda peak, end, done: peak ** (1 - done) * end**done,
    "cosine": lambda peak, end, done: end + 0.5 * (peak - end) * (1 + np.cos(np.pi * done)),
    "sqrt": lambda peak, end, done: peak + (end - peak) * np.sqrt(done),
}
_WARMUP = {"warmup": 0.0, "hold": False}
_KINDS: dict[str, tuple[Callable, tuple[str, ...], dict[str, Any]]] = {
    "constant": (_constant, ("peak", "total"), _WARMUP),
    "cosine": (_cosine, ("peak", "end", "total"), _WARMUP),
    "wsd": (_wsd, ("peak", "end", "stable", "total"), {"decay": "linear", **_WARMUP}),
    "step": (_step, ("peak", "at", "to", "total"), _WARMUP),
    "points": (_points, ("steps", "lr"), {"warmup": 0.0}),
    "logged": (_points, (), _WARMUP),
}
