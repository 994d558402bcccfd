"""How a law can be fitted: one row of a table for each method."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A way to fit a law.

    Attributes
    ----------
    title : str
        What it is called in text.
    groups : tuple of str
        The groups of a fit's tree that it fills.
    draws : str
        The group that holds the parameters' draws.
    posterior : bool
        Whether the draws are of a posterior: there are priors, a sampler's statistics and run noise.
    sized_by : tuple of str
        The settings that say how many draws there are.
    """

    title: str
    groups: tuple[str, ...]
    draws: str
    posterior: bool
    sized_by: tuple[str, ...]


METHODS: dict[str, Method] = {
    "nuts": Method("posterior (NUTS)", ("posterior", "sample_stats"), "posterior", True, ("draws", "chains")),
    "map": Method("point fit", ("point", "bootstrap", "starts"), "bootstrap", False, ("bootstrap",)),
}
