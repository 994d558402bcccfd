"""Choose how to draw a law of two inputs: what stands across, and what is colour.

A law of parameters and tokens is drawn as those who train read it: against compute, coloured by tokens per
parameter, and against parameters, coloured by compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bayeslaw.law.spec import Spec
from bayeslaw.plots.style.texts import plain


@dataclass(frozen=True)
class Quantity:
    """What an axis or a colour stands for: its name in a legend, its label with its unit, and its values."""

    name: str
    label: str
    of: Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class View:
    """What stands across, what is colour, and the law's inputs from both."""

    across: Quantity
    colour: Quantity
    inputs: Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]


def views_of(spec: Spec, symbols: list[str]) -> tuple[View, View]:
    """Return the two ways to draw a law of two inputs.

    Parameters
    ----------
    spec : Spec
    symbols : list of str
        Of the two inputs.

    Returns
    -------
    tuple of View
    """
    first, second = symbols
    by_column = {spec.inputs[s].column: s for s in symbols}
    if set(by_column) == {"params", "tokens"}:
        return _training_views(spec, by_column["params"], by_column["tokens"])
    a, b = _input(spec, first), _input(spec, second)
    return (
        View(b, a, lambda x, c: {first: c, second: x}),
        View(a, b, lambda x, c: {first: x, second: c}),
    )


def _training_views(spec: Spec, n: str, d: str) -> tuple[View, View]:
    """Return loss over compute by tokens per parameter, and over parameters by compute."""
    compute = Quantity(
        f"6·{n}·{d}", f"6·{n}·{d}: training compute (FLOP)", lambda rows: 6.0 * rows[n] * rows[d]
    )
    ratio = Quantity(f"{d}/{n}", f"{d}/{n}: tokens per parameter (1)", lambda rows: rows[d] / rows[n])

    def from_ratio(x: np.ndarray, c: np.ndarray) -> dict[str, np.ndarray]:
        params = np.sqrt(x / (6.0 * c))
        return {n: params, d: c * params}

    return (
        View(compute, ratio, from_ratio),
        View(_input(spec, n), compute, lambda x, c: {n: x, d: c / (6.0 * x)}),
    )


def _input(spec: Spec, symbol: str) -> Quantity:
    entry = spec.inputs[symbol]
    label = plain(f"{symbol}: {entry.meaning or entry.column} ({entry.unit or '1'})")
    return Quantity(symbol, label, lambda rows: rows[symbol])
