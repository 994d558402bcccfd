"""A law, its priors and its rows as a PyMC model for PyMC's users: named dims, data, priors, observed variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bayeslaw.inference.compiled import settle_compiledir
from bayeslaw.inference.coordinates import walks
from bayeslaw.inference.pymc_model import constants_of, tensor_ops
from bayeslaw.inference.pymc_priors import pymc_priors
from bayeslaw.inference.pymc_rows import OBS, OUTLYING, Around, outlying_labels, row_labels, state_rows
from bayeslaw.law.evaluate import derive, evaluate_law, to_scale
from bayeslaw.law.priors import integrated, sampled, scalar_names, walked
from bayeslaw.law.spec import JOINT, Parameter, Spec
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.pooling import by_row, group_index, row_groups, score_name

if TYPE_CHECKING:
    import pymc as pm

MEAN = "mean"
"""The law's value on the scale of errors."""
_THEIRS = ("chain", "draw", "__sample__", OBS, OUTLYING)
"""Names that PyMC keeps for itself, and those of dims."""


def state_model(bound: BoundLaw) -> pm.Model:
    """State a law, its priors and its rows in PyMC.

    Parameters
    ----------
    bound : BoundLaw
        Whether rows have shifts is settled.

    Returns
    -------
    pymc.Model
        See `bayeslaw.pymc_model`.
    """
    settle_compiledir()
    import pymc as pm
    import pytensor.tensor as pt

    spec, ops, own = bound.spec, tensor_ops(), names_of_ours(bound.spec)
    dims = {column: own("_".join(columns)) for column, columns in spec.pool_columns.items()}
    with pm.Model(coords=_coords(bound, dims)) as model:
        constants = {n: pm.Data(n, np.float64(v)) for n, v in constants_of(spec).items()}
        inputs = {n: pm.Data(n, v, dims=(OBS, *[None] * (np.ndim(v) - 1))) for n, v in bound.inputs.items()}
        deviations: dict[str, Any] = {}
        values = pymc_priors(
            spec, _stated(spec), constants, ops, _moved(bound, dims, constants, deviations, ops)
        )
        known = {**constants, **values}
        noise = {n: known[n] for n in spec.noise if n in known}
        for name, value in derive(spec, known, ops).items():
            pm.Deterministic(name, pt.as_tensor(value))
        groups = _groups(bound, dims, {**values, **noise}, deviations, own, ops)
        law = evaluate_law(spec, {**values, **noise, **groups}, inputs, ops, constants)
        mean = to_scale(law, spec.output.scale, pt) + pt.zeros(len(bound.rows))
        mean = pm.Deterministic(own(MEAN), mean, dims=OBS)
        state_rows(Around(bound, mean, noise, own, ops))
    return model


def _stated(spec: Spec) -> dict[str, Parameter]:
    """Return the parameters of the model: those that NUTS samples, and the level that our own density integrates out."""
    return {n: p for n, p in sampled(spec).items() if n in walked(spec) or n in integrated(spec)}


def names_of_ours(spec: Spec) -> Callable[[str], str]:
    """Return what gives a name of ours: itself, with an underscore behind it where the law has one like it."""
    inputs = [name for symbol in spec.inputs for name in (symbol, f"ref_{symbol}")]
    theirs = {*_THEIRS, *inputs, *spec.scalar_names, *spec.parameters, *spec.noise, *spec.derived}
    theirs |= set(scalar_names(sampled(spec)))

    def own(name: str) -> str:
        return own(f"{name}_") if name in theirs else name

    return own


def _coords(bound: BoundLaw, dims: dict[str, str]) -> dict[str, Any]:
    groups = {
        dim: [label.replace(JOINT, ", ") for label in bound.labels[column]] for column, dim in dims.items()
    }
    out = outlying_labels(bound)
    return {OBS: row_labels(bound), **groups, **({OUTLYING: out} if out else {})}


def _moved(
    bound: BoundLaw, dims: dict[str, str], constants: dict[str, Any], deviations: dict[str, Any], ops: Any
) -> Callable[[str, dict[str, Any]], Any]:
    """Return what states the groups of a pooled parameter, and says how far it lies from their middle."""
    import pymc as pm

    how = walks(bound)

    def moved(name: str, known: dict[str, Any]) -> Any:
        from bayeslaw.inference.pymc_transforms import Walked

        spread = {**constants, **known}[f"{name}_spread"]
        walked = Walked(bound.spec, name, how[name], ops)
        dim = dims[bound.spec.pooled[name]]
        deviations[name] = pm.Normal(f"{name}_deviation", 0.0, spread, dims=dim, default_transform=walked)
        return -(how[name]["share"] * deviations[name]).sum()

    return moved


def _groups(
    bound: BoundLaw, dims: dict[str, str], values: dict[str, Any], deviations: dict[str, Any],
    own: Callable[[str], str], ops: Any,
) -> dict[str, Any]:  # fmt: skip
    """State the scores and the values of every pooled parameter's groups; return each row's own value."""
    import pymc as pm

    spec, out, index = bound.spec, {}, {}
    for column, dim in dims.items():
        at = group_index(bound.labels[column], row_groups(spec, column, bound.rows.columns))
        index[column] = pm.Data(own(f"{dim}_index"), at, dims=OBS)
    for name, deviation in deviations.items():
        column = spec.pooled[name]
        scores = pm.Deterministic(score_name(name), deviation / values[f"{name}_spread"], dims=dims[column])
        each = by_row(spec, values, {name: scores}, ops)[name]
        out[name] = pm.Deterministic(own(f"{name}_of_{dims[column]}"), each, dims=dims[column])[index[column]]
    return out
