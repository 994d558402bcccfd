"""A spec and a dataset as a PyMC model whose data, references and fixed values can be exchanged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayeslaw.expression import FUNCTIONS
from bayeslaw.law import evaluate_law, fixed_values, law_inputs, references, to_scale
from bayeslaw.observation import OBSERVATIONS, Rows, observed_rows
from bayeslaw.priors import pymc_priors
from bayeslaw.spec import Spec

if TYPE_CHECKING:
    import pymc as pm

_LIKELIHOOD = "likelihood"


def model_data(spec: Spec, data: xr.Dataset) -> dict[str, np.ndarray]:
    """Return everything that may change without compiling anew, by the name it has in the model.

    Parameters
    ----------
    spec : Spec
        Resolved.
    data : xarray.Dataset

    Returns
    -------
    dict of str to numpy.ndarray
        Inputs and the output's rows, references, fixed values.
    """
    rows = observed_rows(spec, data)
    inputs = law_inputs(spec, data)
    fixed = {p.name: p.fixed for p in spec.likelihood.values() if p.fixed is not None}
    scalars = {**references(spec), **fixed_values(spec), **fixed}
    return {
        **{f"input_{name}": values for name, values in inputs.items()},
        **{f"constant_{name}": np.float64(value) for name, value in scalars.items()},
        "observed": rows.y, "sampling_error": rows.error, "log_slope": rows.log_slope,
    }  # fmt: skip


def build_model(spec: Spec, data: xr.Dataset) -> pm.Model:
    """State a law, its priors and its observation model in PyMC.

    Parameters
    ----------
    spec : Spec
        Resolved.
    data : xarray.Dataset

    Returns
    -------
    pymc.Model
        Its free variables are the sampled parameters; everything in `model_data` is `pymc.Data`.
    """
    import pymc as pm
    import pytensor.tensor as pt

    ops = _tensor_ops()
    with pm.Model() as model:
        given = {name: pm.Data(name, value) for name, value in model_data(spec, data).items()}
        constants = {n.removeprefix("constant_"): v for n, v in given.items() if n.startswith("constant_")}
        inputs = {n.removeprefix("input_"): v for n, v in given.items() if n.startswith("input_")}
        priors = pymc_priors(spec, constants, ops)
        noise = {n: priors[n] if n in priors else constants[n] for n in spec.likelihood}
        law = evaluate_law(spec, priors, inputs, ops, constants)
        rows = Rows(given["observed"], given["sampling_error"], given["log_slope"])
        mean = to_scale(law, spec.output.scale, pt)
        pm.Potential(_LIKELIHOOD, OBSERVATIONS[spec.family].joint(mean, noise, rows, pt))
    return model


def _tensor_ops() -> SimpleNamespace:
    """PyTensor's functions, with varying powers as exp(y log x), which is faster than a general one.

    A constant power may have a negative base, as in ``(x - a)**2``; a varying one may not.
    """
    import pytensor.tensor as pt

    def power(x, y):
        return pt.power(x, y) if isinstance(y, float) else pt.exp(y * pt.log(x))

    def dot(a, b):  # a sum compiles in a third of the time of a matrix product, and runs as fast
        return (a[:, None] * b).sum(axis=0)

    functions = {name: getattr(pt, name) for name in (*FUNCTIONS, "cos", "arccos")}
    return SimpleNamespace(**functions, power=power, dot=dot)
