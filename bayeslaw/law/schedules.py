"""Makes a learning rate for every step of a line of text, and computes the areas under the rates.

Steps run from 0 to `total` inclusive, and areas count from step 0, as in arXiv:2408.11029.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from bayeslaw.core.errors import InputError, did_you_mean, shown
from bayeslaw.law.schedule_kinds import KINDS, SETTINGS


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
        """The first step that a law describes: after warm-up, and not before the rate is above zero."""
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

    def momentum(self, lam: float) -> np.ndarray:
        """Return the decaying sum of `drops`, m_i = lam·m_{i−1} + drop_i, shape (total + 1,)."""
        from scipy.signal import lfilter

        return lfilter([1.0], [1.0, -lam], self.drops())


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
    if kind not in KINDS:
        raise InputError(f"schedule {_short(text)}: unknown kind {kind!r}{did_you_mean(kind, KINDS)}")
    defaults = _check_names(text, kind, values)
    settings = {**defaults, **values}
    if KINDS[kind].from_table:
        steps, rates = _check_logged(text, logged)
        settings |= {"steps": list(map(float, steps)), "lr": list(map(float, rates))}
    for name, value in settings.items():
        wanted, fine = SETTINGS[name]
        if not fine(value):
            raise InputError(f"schedule {_short(text)}: {name}={value!r}, expected {wanted}.")
    made = KINDS[kind](**settings)
    if odd := made.odd():
        raise InputError(f"schedule {_short(text)}: {odd}")
    lr, warmup = made.rates(), int(made.warmup)
    if not made.hold and warmup:
        lr[:warmup] = np.linspace(0.0, lr[warmup], warmup)
    if not (np.isfinite(lr).all() and (lr >= 0).all() and lr.max() > 0):
        raise InputError(
            f"schedule {_short(text)}: learning rates must be finite, not negative, and not all zero."
        )
    return Schedule(text, lr, warmup)


def _check_names(text: str, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse settings that a kind does not have, and ask for those that it needs; return the defaults."""
    own = [f for f in fields(KINDS[kind]) if f.name not in KINDS[kind].from_table]
    allowed = {f.name for f in own}
    for name in values:
        if name not in allowed:
            raise InputError(
                f"schedule {_short(text)}: unknown setting {name!r}{did_you_mean(name, allowed)}"
            )
    for f in own:
        if f.default is MISSING and f.name not in values:
            raise InputError(f"schedule {_short(text)}: {kind} needs {f.name}=…; add it.")
    return {f.name: f.default for f in own if f.default is not MISSING}


def _check_logged(text: str, logged: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and rates; refuse what is no pair of arrays of numbers."""
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
    return steps, rates


def _short(text: Any) -> str:
    """Quote a schedule's text in a message, its beginning if it is long."""
    return shown(text, 200)


def _call(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``kind(name=value, …)``; values are numbers, lists of numbers, words, true or false."""
    problem = InputError(
        f"schedule {_short(text)}: expected kind(name=value, …), as in "
        f"'cosine(peak=3e-4, end=3e-5, warmup=2160, total=24000)'; kinds: {', '.join(KINDS)}."
    )
    if not isinstance(text, str) or len(text) > 100_000:
        raise problem
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise problem from None
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args):
        raise problem
    names = [k.arg for k in node.keywords if k.arg is not None]
    if len(set(names)) < len(node.keywords):  # **x, or one name twice
        raise problem
    try:
        return node.func.id, {name: _value(k.value) for name, k in zip(names, node.keywords, strict=True)}
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
