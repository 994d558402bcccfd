"""Defines the kinds of learning-rate schedules: a dataclass each, whose fields are the settings that a text may give.

A new kind is a dataclass and a row of `KINDS`, a new way to fall a row of `DECAYS`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Protocol, TypeGuard

import numpy as np

from bayeslaw.core.errors import InputError

MAX_STEPS = 2_000_000
"""No run has more; at twenty million a forecast would not end."""


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _counts_steps(value: object) -> bool:
    return _is_number(value) and value == int(value) and 0 <= value <= MAX_STEPS


def _is_rate(value: object) -> bool:
    return _is_number(value) and value >= 0


def _is_one_or_more(value: object) -> bool:
    return _is_number(value) or isinstance(value, list)


def _are_several(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1


def _in_order(warmup: float, stable: float, total: float) -> str:
    """Return what is wrong with the order of steps, or nothing."""
    if warmup <= stable <= total and warmup < total:
        return ""
    return "steps must be in the order warmup ≤ stable ≤ total, warmup < total."


def _list(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]


def _steps(total: float) -> np.ndarray:
    return np.arange(int(total) + 1, dtype=float)


def _flat(peak: float, total: float) -> np.ndarray:
    return np.full(int(total) + 1, peak)


class Kind(Protocol):
    """A kind of schedule: its fields are its settings, those with a default may be left out.

    Attributes
    ----------
    from_table : tuple of str
        Settings that a table supplies, not the text.
    hold : bool
        Whether the rates are as given during warm-up, instead of a linear rise from zero.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    from_table: ClassVar[tuple[str, ...]]

    @property
    def warmup(self) -> float:
        """The number of warm-up steps."""

    @property
    def hold(self) -> bool:
        """Whether the rates during warm-up are those of `rates`."""

    def odd(self) -> str:
        """Return what is wrong between the settings, as the end of a message; empty if nothing is."""

    def rates(self) -> np.ndarray:
        """Return the learning rates of all steps, warm-up left aside, shape (total + 1,)."""


@dataclass(frozen=True)
class Constant:
    """One rate throughout."""

    peak: float
    total: float
    warmup: float = 0.0
    hold: bool = False
    from_table: ClassVar[tuple[str, ...]] = ()

    def odd(self) -> str:
        """Return what is wrong between the settings."""
        return _in_order(self.warmup, self.warmup, self.total)

    def rates(self) -> np.ndarray:
        """Return the learning rates of all steps."""
        return _flat(self.peak, self.total)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the peak at the end of warm-up to the last step."""

    peak: float
    end: float
    total: float
    warmup: float = 0.0
    hold: bool = False
    from_table: ClassVar[tuple[str, ...]] = ()

    def odd(self) -> str:
        """Return what is wrong between the settings."""
        return _in_order(self.warmup, self.warmup, self.total)

    def rates(self) -> np.ndarray:
        """Return the learning rates of all steps."""
        done = np.clip((_steps(self.total) - self.warmup) / (self.total - self.warmup), 0, 1)
        return DECAYS["cosine"](self.peak, self.end, done)


@dataclass(frozen=True)
class WarmupStableDecay:
    """Constant up to a step, then down to the last one."""

    peak: float
    end: float
    stable: float
    total: float
    decay: str = "linear"
    warmup: float = 0.0
    hold: bool = False
    from_table: ClassVar[tuple[str, ...]] = ()

    def odd(self) -> str:
        """Return what is wrong between the settings."""
        return _in_order(self.warmup, self.stable, self.total)

    def rates(self) -> np.ndarray:
        """Return the learning rates of all steps."""
        if self.decay == "exponential" and self.end <= 0:
            raise InputError("schedule wsd: an exponential decay needs end > 0.")
        done = np.clip((_steps(self.total) - self.stable) / max(self.total - self.stable, 1), 0, 1)
        return DECAYS[self.decay](self.peak, self.end, done)


@dataclass(frozen=True)
class Step:
    """One rate, and others from some steps on."""

    peak: float
    at: float | list[float]
    to: float | list[float]
    total: float
    warmup: float = 0.0
    hold: bool = False
    from_table: ClassVar[tuple[str, ...]] = ()

    def odd(self) -> str:
        """Return what is wrong between the settings."""
        at, to = _list(self.at), _list(self.to)
        fine = len(at) == len(to) and at == sorted(at) and all(0 <= a <= self.total for a in at)
        return _in_order(self.warmup, self.warmup, self.total) or (
            "" if fine else "'at' must rise, lie in 0 … total, and have as many entries as 'to'."
        )

    def rates(self) -> np.ndarray:
        """Return the learning rates of all steps."""
        lr = _flat(self.peak, self.total)
        for at, to in zip(_list(self.at), _list(self.to), strict=True):
            lr[math.ceil(at) :] = to
        return lr


@dataclass(frozen=True)
class Points:
    """Straight lines between given rates, warm-up included."""

    steps: list[float]
    lr: list[float]
    warmup: float = 0.0
    hold: ClassVar[bool] = True
    from_table: ClassVar[tuple[str, ...]] = ()

    def odd(self) -> str:
        """Return what is wrong between the settings."""
        return _odd_points(self.steps, self.lr, self.warmup)

    def rates(self) -> np.ndarray:
        """Return the learning rates of all steps."""
        return _between(self.steps, self.lr)


@dataclass(frozen=True)
class Logged:
    """Straight lines between the rates of a table."""

    steps: list[float]
    lr: list[float]
    warmup: float = 0.0
    hold: bool = False
    from_table: ClassVar[tuple[str, ...]] = ("steps", "lr")

    def odd(self) -> str:
        """Return what is wrong between the settings."""
        return _odd_points(self.steps, self.lr, self.warmup)

    def rates(self) -> np.ndarray:
        """Return the learning rates of all steps."""
        return _between(self.steps, self.lr)


def _odd_points(steps: list[float], lr: list[float], warmup: float) -> str:
    rises = all(a < b for a, b in itertools.pairwise(steps))
    fine = len(steps) == len(lr) and rises and steps[0] >= 0 and steps[-1] <= MAX_STEPS
    return _in_order(warmup, warmup, steps[-1]) or (
        "" if fine else f"'steps' must rise, from 0 to at most {MAX_STEPS}, and have as many entries as 'lr'."
    )


def _between(steps: list[float], lr: list[float]) -> np.ndarray:
    return np.interp(np.arange(int(steps[-1]) + 1), steps, lr)


DECAYS: dict[str, Callable[[float, float, np.ndarray], np.ndarray]] = {
    "linear": lambda peak, end, done: peak + (end - peak) * done,
    "exponential": lambda peak, end, done: peak ** (1 - done) * end**done,
    "cosine": lambda peak, end, done: end + 0.5 * (peak - end) * (1 + np.cos(np.pi * done)),
    "sqrt": lambda peak, end, done: peak + (end - peak) * np.sqrt(done),
}
"""How a rate falls, by name: (peak, end, share of the fall that is done, from 0 to 1) -> rates."""
KINDS: dict[str, type[Kind]] = {
    "constant": Constant,
    "cosine": Cosine,
    "wsd": WarmupStableDecay,
    "step": Step,
    "points": Points,
    "logged": Logged,
}
"""Kinds of schedules, by the name that a text calls."""
_WHOLE = f"a whole number from 0 to {MAX_STEPS} (count optimiser steps, not tokens)", _counts_steps
_RATE = "a number, 0 or more", _is_rate
_ONE_OR_MORE = "a number or a list of numbers", _is_one_or_more
_SEVERAL = "a list of two or more numbers", _are_several
SETTINGS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "peak": _RATE, "end": _RATE, "total": _WHOLE, "warmup": _WHOLE, "stable": _WHOLE,
    "at": _ONE_OR_MORE, "to": _ONE_OR_MORE, "steps": _SEVERAL, "lr": _SEVERAL,
    "hold": ("true or false", lambda v: isinstance(v, bool)),
    "decay": (f"one of {', '.join(DECAYS)}", lambda v: isinstance(v, str) and v in DECAYS),
}  # fmt: skip
"""What each setting may be, whatever the kind: in words, and as a test."""
