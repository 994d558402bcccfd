"""Several fits with weights: a mixture that forecasts like one fit, its draws and what is known of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError, check_type, shown
from bayeslaw.data.curves import needs_schedule
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
    """

    fits: Mapping[str, Fit] = field(repr=False)
    weights: Mapping[str, float]
    scores: xr.Dataset = field(repr=False)

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
        return [(fit.fits[n], w) for n, w in fit.weights.items() if w > 0]
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


def mixed(parts: Sequence[Mapping[str, np.ndarray]], weights: Sequence[float]) -> dict[str, np.ndarray]:
    """Mix the laws' draws: of each as many as its weight says.

    Parameters
    ----------
    parts : sequence of mapping of str to numpy.ndarray, shape (draws, targets)
        Each law's draws by kind; how many draws may differ between laws.
    weights : sequence of float

    Returns
    -------
    dict of str to numpy.ndarray, shape (draws, targets)
        As many draws as there are for the weights; evenly spaced ones of each law, so that every
        chain has its share and nothing is left to chance. Kinds that are one array stay one.
    """
    sizes = [len(next(iter(part.values()))) for part in parts]
    total = min(size / weight for size, weight in zip(sizes, weights, strict=True))
    takes = [min(round(weight * total), size) for size, weight in zip(sizes, weights, strict=True)]
    picks = [np.arange(take) * size // max(take, 1) for take, size in zip(takes, sizes, strict=True)]
    done: dict[tuple[int, ...], np.ndarray] = {}
    out = {}
    for kind in parts[0]:
        key = tuple(id(part[kind]) for part in parts)
        if key not in done:
            done[key] = np.concatenate([part[kind][pick] for part, pick in zip(parts, picks, strict=True)])
        out[kind] = done[key]
    return out


def law_share(draws: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the share of a mixture's variance that lies between the laws.

    Parameters
    ----------
    draws : sequence of numpy.ndarray, shape (draws, targets)
        Each law's, on the scale of errors.
    weights : sequence of float

    Returns
    -------
    numpy.ndarray, shape (targets,)
        Variance of the laws' means over all variance, by the law of total variance; zero where
        nothing varies.
    """
    weights = np.asarray(weights)[:, None]
    with np.errstate(all="ignore"):
        means = np.array([d.mean(axis=0) for d in draws])
        within = (weights * np.array([d.var(axis=0) for d in draws])).sum(axis=0)
        between = (weights * (means - (weights * means).sum(axis=0)) ** 2).sum(axis=0)
        return np.where(within + between == 0, 0.0, between / (within + between))


def weights_text(mixture: Mixture) -> str:
    """Write a mixture's weights as JSON, to travel in a dataset's attributes."""
    return json.dumps({name: float(weight) for name, weight in mixture.weights.items()})


def weight_checks(mixture: Mixture) -> list[Check]:
    """Say what a mixture's weights are and what they rest on.

    Parameters
    ----------
    mixture : Mixture

    Returns
    -------
    list of Check
        ``weights``: a note; a warning where fits of windows were not clean.
    """
    score = mixture.scores["log_score_joint"]
    used = int(score.notnull().all("law").sum()) if score.size else 0
    told = ", ".join(f"{n} {w:.2f}" for n, w in mixture.weights.items())
    message = (
        f"The laws weigh {told}, by how each predicted {used} block(s) of rows ahead: so few trials cannot tell "
        "more, and they lie nearer than the targets. law_share says what of the variance is the choice of law."
    )
    failed = mixture.scores.get("failed")
    unclean = 0 if failed is None else int((failed != "").sum())
    if unclean:
        message += f" Windows' fits that could not be made or failed a check: {unclean}; scores['failed'] says which."
    return [Check("weights", "warn" if unclean else "note", float(used), message)]
