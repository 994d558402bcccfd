"""Say what was expected of every parameter, and what the data say."""

from __future__ import annotations

import numpy as np

from bayeslaw.core.numbers import show
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import derive, references
from bayeslaw.law.priors import draw_priors, sampled
from bayeslaw.law.spec import Parameter, Spec
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section
from bayeslaw.reports.wording import quantity

_PRIOR_DRAWS = 4000


def priors_section(content: Content) -> Section | None:
    """Say what was expected of every parameter, and what the data say; a point fit expects nothing."""
    parts = []
    for case in content.fits:
        if case.fit.is_posterior:
            reference = reference_sentence(case.fit.spec)
            items = tuple(prior_sentences(case.fit, content.prob))
            parts.append(Section(case.name, (reference,) if reference else (), items=items))
    text = f"What was expected before the data, and what the data say: median and central {100 * content.prob:g} % interval."
    return Section("Priors", (text,), parts=tuple(parts)) if parts else None


def prior_sentences(fit: Fit, prob: float) -> list[str]:
    """Say of every parameter what was expected and what the data say.

    Parameters
    ----------
    fit : Fit
        Of a posterior: method "nuts".
    prob : float
        Probability of the data's interval; the prior's is nine times in ten.

    Returns
    -------
    list of str
        The paper's parameters first.
    """
    spec, rng = fit.spec, np.random.default_rng(0)
    draws = draw_priors(spec, _PRIOR_DRAWS, rng)
    with np.errstate(all="ignore"):
        derived = derive(spec, draws)
    out = []
    for name in spec.constants:
        entry, values = spec.derived[name], np.broadcast_to(derived[name], _PRIOR_DRAWS)
        low, high = np.nanquantile(np.where(np.isfinite(values), values, np.nan), [0.05, 0.95])
        before = f"nine times in ten between {show(low)} and {quantity(high, entry.unit)}, as the priors below imply"
        out.append(f"{_called(name, entry.meaning)}: {before}; {_said(fit, name, entry.unit, prob)}.")
    for parameter in sampled(spec).values():
        out += _prior_sentence(fit, parameter, prob)
    held = [p for p in (*spec.parameters.values(), *spec.noise.values()) if p.fixed is not None]
    return out + [f"{_called(p.name, p.meaning)}: held at {p.fixed:g}{_unit(p.unit)}." for p in held]


def _prior_sentence(fit: Fit, p: Parameter, prob: float) -> list[str]:
    if p.names:
        alike = (
            "any division alike" if p.concentration == 1 else f"Dirichlet, concentration {p.concentration:g}"
        )
        said = "; ".join(f"{n}, {_said(fit, n, '', prob)}" for n in p.names)
        return [f"{', '.join(p.names)} ({p.meaning}): shares that add up to one, {alike}; {said}."]
    if p.prior_90 is None:
        low, high = p.bounds or (0.0, 1.0)
        before = f"anywhere between {low:g} and {high:g}, all alike"
    else:
        low, high = p.prior_90
        before = f"nine times in ten between {low:g} and {high:g}{_unit(p.unit)}"
        if p.bounds:
            before += f", never outside [{p.bounds[0]:g}, {p.bounds[1]:g}]"
    pooled = f", each {' and '.join(p.pool)} with its own around it" if p.pool else ""
    return [f"{_called(p.name, p.meaning)}: {before}{pooled}; {_said(fit, p.name, p.unit, prob)}."]


def _called(name: str, meaning: str) -> str:
    return f"{name} ({meaning})" if meaning else name


def _said(fit: Fit, name: str, unit: str, prob: float) -> str:
    values = fit.draws[name].values
    low, middle, high = np.quantile(values, [(1 - prob) / 2, 0.5, (1 + prob) / 2])
    ends = f"[{show(low)}, {show(high)}]"
    kind = "" if prob == 0.9 else f" ({100 * prob:g} %)"
    return f"the data say {show(middle)} {ends}{_unit(unit)}{kind}"


def _unit(unit: str) -> str:
    return "" if unit in ("", "1") else f" {unit}"


def reference_sentence(spec: Spec) -> str:
    """Say at which values of its inputs a law's parameters hold; empty if at none."""
    found = [
        f"{name} = {quantity(v, spec.inputs[name.removeprefix('ref_')].unit)}"
        for name, v in references(spec).items()
    ]
    return f"References, frozen: {', '.join(found)}." if found else ""
