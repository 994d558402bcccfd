"""Several fits with weights: a mixture that forecasts like one fit, its draws and what is known of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError, check_flag, check_type, shown
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.weights import FEWEST, usable_blocks, weights_at
from bayeslaw.inference.fit import Fit, rendered


@dataclass(frozen=True)
class Mixture:
    """Fits of several laws to the same rows, and how much each counts.

    Attributes
    ----------
    fits : mapping of str to Fit
        By name; all fitted with method "nuts".
    weights : mapping of str to float
        By the same names; they sum to one.
    scores : xarray.Dataset
        What the weights rest on, see `stack`: dims (law, window).
    by_distance : bool
        Whether each target is forecast with weights of its own, by the blocks of ``scores`` that lie
        about as far ahead (see `weights_at`); `weights` then are those of all blocks alike.
    """

    fits: Mapping[str, Fit] = field(repr=False)
    weights: Mapping[str, float]
    scores: xr.Dataset = field(repr=False)
    by_distance: bool = False

    def __post_init__(self) -> None:
        check_alike(self.fits)
        given = list(self.weights.values()) if isinstance(self.weights, Mapping) else []
        numbers = all(isinstance(w, Real) and w >= 0 for w in given)
        if not given or not numbers or self.fits.keys() != self.weights.keys() or abs(sum(given) - 1) > 1e-9:
            raise InputError(
                f"weights: found {shown(self.weights)}, allowed: a number, 0 or more, for each of "
                f"{', '.join(self.fits)}; together they are 1."
            )
        check_type("scores", self.scores, xr.Dataset, "scores as of stack(…)")
        check_flag("by_distance", self.by_distance)
        if self.by_distance and not (
            {"log_score_block", "horizon", "rows_block"} <= set(self.scores.data_vars)
            and self.scores["law"].values.tolist() == list(self.fits)
        ):
            raise InputError(
                "by_distance: found True, which needs the scores that stack(…) returned for these fits; "
                "allowed: those, or False, for the same weights at every distance."
            )

    def weights_at(self, orders: ArrayLike) -> np.ndarray:
        """Return the laws' weights for targets at some distance.

        Parameters
        ----------
        orders : array_like, shape (targets,)
            Orders of magnitude beyond the data, as a forecast's ``orders_beyond``.

        Returns
        -------
        numpy.ndarray, shape (targets, laws)
            In the order of ``fits``; each row sums to one.
        """
        orders = np.atleast_1d(np.asarray(orders, dtype=float))
        if self.by_distance:
            return weights_at(self.scores, orders)
        return np.tile(np.array([self.weights[name] for name in self.fits]), (len(orders), 1))

    def held_at(self, orders: float) -> Mixture:
        """Return the mixture with the weights of one distance for all that is asked of it.

        Parameters
        ----------
        orders : float
            Orders of magnitude beyond the data.

        Returns
        -------
        Mixture
        """
        if not self.by_distance:
            return self
        (weights,) = self.weights_at([orders])
        return Mixture(self.fits, dict(zip(self.fits, weights.tolist(), strict=True)), self.scores)

    def __repr__(self) -> str:
        return rendered(self, "text") or object.__repr__(self)

    def _repr_html_(self) -> str | None:
        return rendered(self, "html")

    @property
    def name(self) -> str:
        """The laws' names, joined."""
        return " + ".join(self.fits)


def members(fit: Fit | Mixture) -> list[tuple[Fit, float]]:
    """Return fits and weights: those of a mixture (laws of weight zero left out), or one fit with weight one."""
    if isinstance(fit, Mixture):
        return [(fit.fits[n], fit.weights[n]) for n in fit.fits if fit.weights[n] > 0 or fit.by_distance]
    return [(fit, 1.0)]


def check_alike(fits: Mapping[str, Fit]) -> None:
    """Refuse fits that cannot stand in one mixture.

    Parameters
    ----------
    fits : mapping of str to Fit

    Raises
    ------
    InputError
        If there are none, one is no posterior, or they differ in what they predict, in their rows or
        in what a target is.
    """
    check_same_rows(fits, "stack")
    (first, one), *others = fits.items()
    for name, other in others:
        kinds = ["a schedule" if needs_schedule(f.spec) else "columns" for f in (one, other)]
        if kinds[0] != kinds[1]:
            raise InputError(
                f"stack: the fits {first!r} and {name!r} differ in inputs ({kinds[0]} and {kinds[1]}); "
                "allowed: fits that take the same targets."
            )


def check_same_rows(fits: Mapping[str, Fit], caller: str) -> None:
    """Refuse fits whose scores do not compare, because they are not posteriors of the same rows.

    Parameters
    ----------
    fits : mapping of str to Fit
    caller : str
        The public function that was called, for the message.

    Raises
    ------
    InputError
        If there are none, one is no posterior, or they differ in what they predict or in their rows:
        output, sampling error, k, counts and labels, in the same order.
    """
    if not isinstance(fits, Mapping) or not fits:
        raise InputError(
            f'{caller}(fits): expected {{"name": fit, …}} with one fit or more, found {shown(fits)}.'
        )
    for name, fit in fits.items():
        if not isinstance(name, str) or not isinstance(fit, Fit) or not fit.is_posterior:
            raise InputError(
                f"{caller}, law {shown(name)}: allowed: a fit that fit(spec, data) returned, method 'nuts', under a name."
            )
    (first, one), *others = fits.items()
    for name, other in others:
        if reason := _difference(one, other):
            raise InputError(
                f"{caller}: the fits {first!r} and {name!r} differ in {reason}; allowed: fits of several laws to "
                "the same rows of one table, so that their scores compare; fit both to one dataset."
            )


def _difference(one: Fit, other: Fit) -> str:
    """Say in what two fits differ that scores need alike; empty if in nothing."""
    specs = one.spec, other.spec
    for what, values in (
        ("output", [s.output.name for s in specs]),
        ("unit of the output", [s.output.unit for s in specs]),
        # Draws are mixed, and variances compared, on the scale of errors.
        ("scale of errors", [s.output.scale for s in specs]),
        # A count's probability is no density of the output: the two do not compare.
        ("likelihood", [s.traits.density_of for s in specs]),
        ("number of rows", [f.data.sizes["obs"] for f in (one, other)]),
    ):
        if values[0] != values[1]:
            return f"{what} ({values[0]} and {values[1]})"
    return _different_row(one.data, other.data, one.spec.output.name)


def _different_row(one: xr.Dataset, other: xr.Dataset, output: str) -> str:
    """Name the first row in which two tables of equal length differ; empty if there is none."""
    labels = [str(n) for n in one.coords if n in other.coords and n != "obs"]
    for name in (output, "sampling_error", "k", "n", "c", *labels):
        if name not in one or name not in other or one[name].dims != ("obs",):
            continue
        y, z = one[name].values, other[name].values
        different = (y != z) & ~(pd.isna(y) & pd.isna(z))
        if different.any():
            at = int(np.flatnonzero(different)[0])
            found = [f"{v:g}" if isinstance(v, float) else str(v) for v in (y[at], z[at])]
            sorted_alike = sorted(map(str, y)) == sorted(map(str, z))
            hint = ": the same values in another order, so sort both tables alike" if sorted_alike else ""
            return f"{name} of row {at + 1} ({found[0]} and {found[1]}{hint})"
    return ""


def mixed(
    parts: Sequence[Mapping[str, np.ndarray]], weights: Sequence[float] | np.ndarray
) -> dict[str, np.ndarray]:
    """Mix the laws' draws: of each as many as its weight says.

    Parameters
    ----------
    parts : sequence of mapping of str to numpy.ndarray, shape (draws, targets)
        Each law's draws by kind; how many draws may differ between laws.
    weights : sequence of float, or numpy.ndarray of shape (targets, laws)
        The same for all targets, whose draws then stay joint, or each target's own.

    Returns
    -------
    dict of str to numpy.ndarray, shape (draws, targets)
        As many draws as there are for the weights; evenly spaced ones of each law, so that every
        chain has its share and nothing is left to chance. Kinds that are one array stay one.
    """
    sizes = np.array([len(next(iter(part.values()))) for part in parts])
    weights = np.asarray(weights, dtype=float)
    different, back = np.unique(np.atleast_2d(weights), axis=0, return_inverse=True)
    with np.errstate(divide="ignore"):
        total = (sizes / different).min()
    picks = []
    for row in different:
        takes = np.diff(np.round(np.append(0.0, np.cumsum(row) * total)).astype(int))
        picks.append(
            [np.arange(take) * size // max(take, 1) for take, size in zip(takes, sizes, strict=True)]
        )
    done: dict[tuple[int, ...], np.ndarray] = {}
    out = {}
    for kind in parts[0]:
        key = tuple(id(part[kind]) for part in parts)
        if key not in done:
            values = [part[kind] for part in parts]
            done[key] = (
                _picked(values, picks, back.ravel()) if weights.ndim == 2 else _taken(values, picks[0])
            )
        out[kind] = done[key]
    return out


def _taken(values: Sequence[np.ndarray], pick: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([of[rows] for of, rows in zip(values, pick, strict=True)])


def _picked(
    values: Sequence[np.ndarray], picks: Sequence[Sequence[np.ndarray]], which: np.ndarray
) -> np.ndarray:
    """Take each target's draws by the pick of its weights."""
    out = np.empty((sum(map(len, picks[0])), len(which)))
    for i, pick in enumerate(picks):
        own = which == i
        out[:, own] = _taken([of[:, own] for of in values], pick)
    return out


def law_share(draws: Sequence[np.ndarray], weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the share of a mixture's variance that lies between the laws.

    Parameters
    ----------
    draws : sequence of numpy.ndarray, shape (draws, targets)
        Each law's, on the scale of errors.
    weights : sequence of float, or numpy.ndarray of shape (targets, laws)

    Returns
    -------
    numpy.ndarray, shape (targets,)
        Variance of the laws' means over all variance, by the law of total variance; zero where
        nothing varies.
    """
    weights = np.atleast_2d(weights).T
    with np.errstate(all="ignore"):
        means = np.array([d.mean(axis=0) for d in draws])
        within = (weights * np.array([d.var(axis=0) for d in draws])).sum(axis=0)
        between = (weights * (means - (weights * means).sum(axis=0)) ** 2).sum(axis=0)
        return np.where(within + between == 0, 0.0, between / (within + between))


def weights_text(mixture: Mixture) -> str:
    """Write a mixture's weights as JSON, to travel in a dataset's attributes."""
    return json.dumps({name: float(weight) for name, weight in mixture.weights.items()})


def weight_checks(mixture: Mixture, orders: float | None = None) -> list[Check]:
    """Say what a mixture's weights are and what they rest on.

    Parameters
    ----------
    mixture : Mixture
    orders : float, optional
        How far the farthest target lies, where weights depend on it.

    Returns
    -------
    list of Check
        ``weights``: a note; a warning where fits of windows were not clean, or no block was usable.
    """
    at = mixture if orders is None else mixture.held_at(orders)
    told = ", ".join(f"{n} {w:.2f}" for n, w in at.weights.items())
    used, where, empty = _blocks_used(mixture), "", False
    if mixture.by_distance:
        empty = used == 0
        where = ", those about as far ahead as the target above all" + (
            "" if orders is None else f" (here {orders:.2g} orders of magnitude, the farthest target's)"
        )
    message = (
        f"The laws weigh {told}, by how each predicted {used} block(s) of rows ahead{where}: so few trials cannot tell "
        "more, and they lie nearer than most targets. law_share says what of the variance is the choice of law."
    )
    if empty:
        message = (
            f"The laws weigh {told}, equally: no block of {FEWEST} rows or more ahead of a window was predicted by every "
            "law, so nothing tells them apart; give windows with more rows behind them (windows=[…] / --windows)."
        )
    failed = mixture.scores.get("failed")
    unclean = 0 if failed is None else int((failed != "").sum())
    if unclean:
        message += f" Windows' fits that could not be made or failed a check: {unclean}; scores['failed'] says which."
    return [Check("weights", "warn" if unclean or empty else "note", float(used), message)]


def _blocks_used(mixture: Mixture) -> int:
    """Return how many blocks of rows the weights rest on."""
    if mixture.by_distance:
        return len(set(usable_blocks(mixture.scores)["block"].values.tolist()))
    score = mixture.scores["log_score_joint"]
    return int(score.notnull().all("law").sum()) if score.size else 0
