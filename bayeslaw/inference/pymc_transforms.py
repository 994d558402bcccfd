"""Where PyMC's NUTS walks, of variables that are stated as their priors are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymc.logprob.transforms import Transform

from bayeslaw.law.spec import Spec
from bayeslaw.observation.counts import Counts
from bayeslaw.observation.walks import scores_from


class Walked(Transform):
    """Deviations of a pooled parameter's groups, normal around zero with a spread; see `walks.scores_from`."""

    name = "walked"
    ndim_supp = 1

    def __init__(self, spec: Spec, parameter: str, how: Mapping[str, Any], ops: Any) -> None:
        self.spec, self.parameter, self.how, self.ops = spec, parameter, how, ops

    def _scores(self, walk: Any, spread: Any) -> tuple[Any, Any]:
        return scores_from(self.spec, self.parameter, walk, spread, self.how, self.ops)

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the walk from the deviations; the last input is their spread."""
        _, log_jacobian = self._scores(value, inputs[-1])
        return self.ops.dot(value / inputs[-1] * self.ops.exp(-log_jacobian), self.how["along"].T)

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the deviations from the walk."""
        return inputs[-1] * self._scores(value, inputs[-1])[0]

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log of the deviations' derivative by the walk."""
        return (self.ops.log(inputs[-1]) + self._scores(value, inputs[-1])[1]).sum()


class Scored(Transform):
    """Outputs behind counts, walked as scores that are standard normal, nearly, under counts and law together."""

    name = "scored"
    ndim_supp = 1

    def __init__(self, counts: Counts, terms: Mapping[str, Any], ops: Any) -> None:
        self.counts, self.terms, self.ops = counts, terms, ops

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the scores from the outputs; the inputs are a generator, a size, the law's values, and sigma first."""
        return self.counts.scored(value, inputs[2], {"sigma": inputs[3]}, self.terms, self.ops)

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the outputs from the scores."""
        return self.counts.outputs(value, inputs[2], {"sigma": inputs[3]}, self.terms, self.ops)[0]

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return the log of the outputs' derivative by the scores."""
        return self.counts.outputs(value, inputs[2], {"sigma": inputs[3]}, self.terms, self.ops)[1]
