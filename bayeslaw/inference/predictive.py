"""Prior and posterior predictive at a fit's own rows."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayeslaw.inference.prior_reach import refuse_out_of_reach
from bayeslaw.inference.values import flat_values, noise_values
from bayeslaw.law.evaluate import derive
from bayeslaw.law.priors import draw_priors
from bayeslaw.observation.base import to_output
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.pooling import score_sizes

PRIOR_DRAWS = 500
PREDICTIVE_VALUES = 2_000_000
"""At most so many predictive values are kept in a fit; longer tables are thinned over draws."""


def draw_prior(bound: BoundLaw, rng: np.random.Generator) -> dict[str, xr.Dataset]:
    """Draw the prior and the prior predictive at the fit's own rows; refuse rows out of their reach."""
    spec = bound.spec
    prior = draw_priors(spec, PRIOR_DRAWS, rng)
    with np.errstate(all="ignore"):
        prior |= {n: np.broadcast_to(v, PRIOR_DRAWS) for n, v in derive(spec, prior).items()}
    prior_set = xr.Dataset({n: (("chain", "draw"), v[None]) for n, v in prior.items()})
    predicted = _predict(bound, prior_set, None, rng)
    name = spec.output.name
    refuse_out_of_reach(spec, bound.data[name].values, predicted[name].values[0])
    return {"prior": prior_set, "prior_predictive": predicted}


def draw_replicated(
    bound: BoundLaw, groups: dict[str, xr.Dataset], rng: np.random.Generator
) -> dict[str, xr.Dataset]:
    """Draw the posterior predictive at the fit's own rows."""
    posterior, latent = groups["posterior"], groups.get("latent", xr.Dataset())
    size = posterior.sizes["chain"] * posterior.sizes["draw"] * len(bound.rows)
    thin = max(1, -(-size // PREDICTIVE_VALUES))
    kept, vectors = (g.isel(draw=slice(None, None, thin), missing_dims="ignore") for g in (posterior, latent))
    kept = kept.assign_coords(draw=np.arange(kept.sizes["draw"]))
    return {"posterior_predictive": _predict(bound, kept, vectors, rng)}


def _predict(
    bound: BoundLaw, draws: xr.Dataset, latent: xr.Dataset | None, rng: np.random.Generator
) -> xr.Dataset:
    """Draw new runs at the fit's own inputs, in the output's unit."""
    spec, rows = bound.spec, bound.rows
    values = noise_values(spec, flat_values(draws))
    size = len(next(iter(flat_values(draws).values())))
    if latent is not None:
        values |= {str(n): v.values.reshape(size, -1) for n, v in latent.data_vars.items()}
    else:  # the prior: groups are as spread as it says
        sizes = score_sizes(spec, bound.labels)
        values |= {n: rng.standard_normal((size, length)) for n, length in sizes.items()}
    mean = bound.law(values)
    # The rows' own inputs again, as if run anew: unseen by design, so nothing to condition on.
    with np.errstate(all="ignore"):
        run = bound.observation.unconditioned(values).predict(mean, rows, rng)["run"]
        run = to_output(spec, run)
    shape = draws.sizes["chain"], draws.sizes["draw"], len(rows)
    name = spec.output.name
    return xr.Dataset(
        {name: (("chain", "draw", "obs"), run.reshape(shape))}, attrs={"units": spec.output.unit}
    )
