"""A spec and a dataset as a PyMC model whose data, references and fixed values can be exchanged."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayeslaw.inference.coordinates import latent_vectors, walks
from bayeslaw.inference.pymc_priors import pymc_priors
from bayeslaw.law.evaluate import evaluate_law, fixed_values, references, to_scale
from bayeslaw.law.functions import FUNCTIONS, MORE, Function
from bayeslaw.law.priors import integrated, walked
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.pooling import by_row, group_index, row_groups, score_name
from bayeslaw.observation.walks import scores_from

if TYPE_CHECKING:
    import pymc as pm

_LIKELIHOOD = "likelihood"
_DENSITIES = ("erfc", "gammaln")
"""Functions that observation models use, beside those of formulas and of schedules."""


def model_data(bound: BoundLaw) -> dict[str, np.ndarray]:
    """Return everything that may change without compiling anew, by the name it has in the model.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    dict of str to numpy.ndarray
        Inputs, references, fixed values, groups, and what the observation model prepares.
    """
    spec, rows, labels = bound.spec, bound.rows, bound.labels
    return {
        **{f"input_{name}": values for name, values in bound.inputs.items()},
        **{
            f"constant_{name}": np.float64(value)
            for name, value in {**constants_of(spec), **integrated(spec)}.items()
        },
        **{
            f"group_{n}": group_index(labels[c], row_groups(spec, c, rows.columns))
            for n, c in spec.pooled.items()
        },
        **{f"{kind}_{n}": v for n, how in walks(bound).items() for kind, v in how.items()},
        **{f"term_{n}": v for n, v in bound.terms.items()},
    }


def constants_of(spec: Spec) -> dict[str, float]:
    """Return references and fixed values, by name."""
    fixed = {p.name: p.fixed for p in spec.noise.values() if p.fixed is not None}
    return {**references(spec), **fixed_values(spec), **fixed}


def build_model(bound: BoundLaw) -> pm.Model:
    """State a law, its priors and its observation model in PyMC.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    pymc.Model
        Its free variables are the sampled parameters; everything in `model_data` is `pymc.Data`.
    """
    import pymc as pm
    import pytensor.tensor as pt

    spec, ops = bound.spec, tensor_ops()
    with pm.Model() as model:
        given = {name: pm.Data(name, value) for name, value in model_data(bound).items()}
        constants, inputs, groups, terms = (
            _named(given, kind) for kind in ("constant", "input", "group", "term")
        )
        how = {n: {kind: given[f"{kind}_{n}"] for kind in ("near", "share", "along")} for n in groups}
        latent = {n: pm.Normal(n, shape=size) for n, size in latent_vectors(bound).items()}
        scores: dict[str, Any] = {}

        def moved(name: str, sampled: dict[str, Any]) -> Any:
            spread = {**constants, **sampled}[f"{name}_spread"]
            scores[name] = _scores(spec, name, latent[score_name(name)], spread, how[name], ops)
            return -spread * (how[name]["share"] * scores[name]).sum()

        values = pymc_priors(spec, walked(spec), constants, ops, moved)
        noise = {
            n: values[n] if n in values else constants[n] for n in spec.noise if n in {**values, **constants}
        }
        scores = {n: scores[n][index] for n, index in groups.items()}
        law = evaluate_law(spec, by_row(spec, {**values, **noise}, scores, ops), inputs, ops, constants)
        mean = to_scale(law, spec.output.scale, pt)
        pm.Potential(_LIKELIHOOD, bound.observation.joint(mean, {**noise, **latent}, terms, ops))
    return model


def _scores(spec: Spec, name: str, walk: Any, spread: Any, how: dict[str, Any], ops: Any) -> Any:
    """Return the scores of a pooled parameter's groups; the standard normal prior is theirs, not their walk's."""
    import pymc as pm

    scores, log_jacobian = scores_from(spec, name, walk, spread, how, ops)
    pm.Potential(f"{name}_prior_of_groups", (log_jacobian + (walk**2 - scores**2) / 2).sum())
    return scores


def _named(given: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the data of one kind by their own names."""
    return {n.removeprefix(f"{kind}_"): v for n, v in given.items() if n.startswith(f"{kind}_")}


def tensor_ops() -> SimpleNamespace:
    """Return PyTensor's functions, with varying powers as exp(y log x), which is faster than a general one.

    A constant power may have a negative base, as in ``(x - a)**2``; a varying one may not.
    """
    import pytensor.tensor as pt

    from bayeslaw.inference.pytensor_op import log_density_with_gradient

    def power(x, y):
        return pt.power(x, y) if isinstance(y, float) else pt.exp(y * pt.log(x))

    def dot(a, b):  # a sum compiles in a third of the time of a matrix product, and runs as fast
        return (a[:, None] * b).sum(axis=0)

    table = {
        n: getattr(pt, n) if hasattr(pt, n) else _one_operation(f) for n, f in {**FUNCTIONS, **MORE}.items()
    }
    densities = {n: getattr(pt, n) for n in _DENSITIES}
    return SimpleNamespace(
        **table, **densities, power=power, dot=dot, with_gradient=log_density_with_gradient
    )


def _one_operation(function: Function) -> Callable[..., Any]:
    """State a function as one operation that knows its derivatives: unrolled, a root compiles for a minute."""
    import pytensor.tensor as pt
    from pytensor.compile.builders import OpFromGraph

    def pull_back(inputs: Any, outputs: Any, gradients: Any) -> list[Any]:
        return [gradients[0] * d for d in function.derivatives(*inputs, outputs[0], pt)]

    def apply(*arguments: Any) -> Any:
        arguments = pt.broadcast_arrays(*arguments)
        inputs = [a.type() for a in arguments]
        return OpFromGraph(inputs, [function.form(*inputs, pt)], pullback=pull_back)(*arguments)

    return apply
