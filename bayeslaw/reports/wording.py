"""A report's sentences and commands: what a fit says, in words that need no statistics."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayeslaw.assess.convergence import SAMPLER_CHECKS
from bayeslaw.core.check import LEVELS
from bayeslaw.core.numbers import show
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import derive, references
from bayeslaw.law.priors import draw_priors, sampled
from bayeslaw.law.spec import Parameter, Spec
from bayeslaw.reports.cases import Ahead, Case

_OFTEN = {0.5: "one time in two", 0.8: "four times in five", 0.9: "nine times in ten", 0.95: "19 times in 20"}
_PRIOR_DRAWS = 4000
_METHOD = {"nuts": "Posterior (NUTS)", "map": "Point fit"}


def often(prob: float) -> str:
    """Say a probability in words: "nine times in ten"."""
    return _OFTEN.get(round(prob, 6), f"with {100 * prob:g} % probability")


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit."""
    plural = {"parameter": "parameters", "token": "tokens"}
    return f"{show(float(value))} {plural.get(unit, unit)}" if unit not in ("", "1") else show(float(value))


def output_words(case: Case) -> str:
    """Name a law's output, with the k of pass@k."""
    name = case.spec.output.name
    return f"−log {pass_at(case)}" if name == "neg_log_pass_at_k" else name.replace("_", " ")


def pass_at(case: Case) -> str:
    """Name pass@k with its k, where all rows have one."""
    data = members(case.fit)[0][0].data
    ks = np.unique(data["k"].values) if "k" in data else []
    return f"pass@{ks[0]:g}" if len(ks) == 1 else "pass@k"


def place(case: Case, ahead: Ahead, row: int) -> str:
    """Say where a forecast is for: a target's inputs, or a step of a schedule."""
    fc = ahead.fc
    if "step" in fc.dims:
        step = f"step {int(fc['step'].values[row])}"
        of = f"run {ahead.run}'s schedule" if ahead.run else ahead.asked["schedule"]
        named = ", ".join(f"{c} {v}" for c, v in ahead.asked.get("group", {}).items())
        return f"{step} of {of}" + (f", {named}" if named and not ahead.run else "")
    specs = [one.spec for one, _ in members(case.fit)]
    units = {name: entry.unit for spec in specs for name, entry in spec.inputs.items()}
    parts = []
    for name in fc.coords:
        if name in ("kind", "target", "orders_beyond") or fc[name].dims != ("target",):
            continue
        value = fc[name].values[row]
        parts.append(f"{name} = {quantity(value, units.get(str(name), ''))}" if np.issubdtype(type(value), np.number) else f"{name} {value}")  # fmt: skip
    return ", ".join(parts)


def distance(ahead: Ahead, row: int) -> str:
    """Say how far a forecast lies beyond the data."""
    orders = float(ahead.fc["orders_beyond"].values[row])
    if orders == 0:
        return "inside the range of the data"
    times = 10**orders
    factor = f"{float(f'{times:.{2 if times > 1.1 else 3}g}'):g}".replace("e+0", "e")
    word = "order" if f"{orders:.2g}" == "1" else "orders"
    return f"{orders:.2g} {word} of magnitude (a factor of {factor}) beyond the data"


def shares(case: Case, told: Mapping[str, float]) -> tuple[str, ...]:
    """Say −log pass@k as shares of problems solved: name, median, lower, upper; empty for other outputs."""
    if case.spec.output.name != "neg_log_pass_at_k":
        return ()
    # The larger −log pass@k, the fewer are solved.
    return pass_at(case), *(f"{100 * np.exp(-told[n]):#.3g} %" for n in ("median", "upper", "lower"))


def verdict_status(cases: list[Case]) -> tuple[str, str]:
    """Say whether the numbers can be used: the gravest level, and a sentence."""
    found = {case.name: case.all_checks for case in cases}
    worst = max((c.level for per in found.values() for c in per), key=LEVELS.index, default="ok")
    bad = [case for case in cases if failed(case)]
    if bad:
        told = "; ".join(f"{case.name}: {', '.join(_failing(case))}" for case in bad)
        names = [name for case in bad for name in _failing(case)]
        return "fail", f"Do not use {joined([case.name for case in bad])} yet: {_who_failed(names)} ({told})."
    sampler = (
        "No check of the sampler failed"
        if any(not isinstance(c.fit, Mixture) and c.fit.method == "nuts" for c in cases)
        else "Point fits only, no posterior was sampled"
    )
    count = sum(c.level == "warn" for per in found.values() for c in per)
    if worst == "warn":
        return worst, f"{sampler}; {count} warning{'s' if count > 1 else ''} below may change the decision."
    return worst, f"{sampler}, and nothing warns; what is to be known of the numbers is listed below."


def failed(case: Case) -> bool:
    """Whether this fit or its forecasts failed a check: of the sampler, or another."""
    return bool(_failing(case))


def failure_words(case: Case) -> str:
    """Say who failed which checks: the sampler, or the data and the law."""
    names = _failing(case)
    return f"{_who_failed(names)} ({', '.join(names)})"


def _failing(case: Case) -> list[str]:
    return list(dict.fromkeys(c.name for c in case.all_checks if c.level == "fail"))


def _who_failed(names: list[str]) -> str:
    """Say whose checks these are; what the sampler did not do must not be said of it."""
    of_sampler = [name in SAMPLER_CHECKS for name in names]
    if all(of_sampler):
        return "the sampler failed a check"
    if any(of_sampler):
        return "the sampler failed a check, and so did the fit itself"
    return "a check failed" if len(names) == 1 else "checks failed"


def joined(names: list[str]) -> str:
    """Join names in a sentence."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def checked(case: Case) -> str:
    """Say what was checked, and how many checks ended how."""
    found = case.all_checks
    words = {"ok": "fine", "fail": "FAILED", "warn": "may mislead", "note": "to know of"}
    parts = []
    for level, word in words.items():
        names = [c.name for c in found if c.level == level]
        named = "" if level == "ok" else f" ({', '.join(dict.fromkeys(names))})"
        parts += [f"{len(names)} {word}{named}"] if names else []
    what = ["the weights"]
    if isinstance(case.fit, Fit):
        of_posterior = ["the sampler", "what the data tell of each parameter", "what the prior has a say in"]
        what = [
            "the data",
            *(of_posterior if case.fit.method == "nuts" else ["the optimiser"]),
            "the residuals",
        ]
    what += ["the distance beyond the data"] if case.ahead else []
    return f"{len(found)} checks of {case.name} ({', '.join(what)}): {', '.join(parts)}."


def prior_sentences(fit: Fit, prob: float) -> list[str]:
    """Say of every parameter what was expected and what the data say.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
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
    """Say at which values of its inputs a law's parameters are meant; empty if at none."""
    found = [
        f"{name} = {quantity(v, spec.inputs[name.removeprefix('ref_')].unit)}"
        for name, v in references(spec).items()
    ]
    return f"References, frozen: {', '.join(found)}." if found else ""


def shell_commands(fit: Fit, ahead: tuple[Ahead, ...], prob: float) -> str:
    """Return the commands that make a fit and its report again.

    Parameters
    ----------
    fit : Fit
    ahead : tuple of Ahead
    prob : float

    Returns
    -------
    str
    """
    words = [
        "bayeslaw",
        "fit",
        f"{fit.spec.name}-frozen.toml",
        "TABLE",
        "-o",
        "fit.nc",
        "--method",
        fit.method,
    ]
    if "k" in fit.data and len(np.unique(fit.data["k"].values)) == 1:
        words += ["--k", f"{fit.data['k'].values[0]:g}"]
    for run, text in _schedules(fit).items():
        words += ["--schedule", f"{run}={text}"]
    for name, value in fit.settings.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    again = ["bayeslaw", "report", "fit.nc", "-o", "report.html", "--prob", f"{prob:g}"]
    asked = [a.asked for a in ahead if not a.run]
    for name, values in (_columns(asked[0]["targets"]) if asked and "targets" in asked[0] else {}).items():
        again += ["--at", f"{name}={','.join(map(str, values))}"]
    if asked and "schedule" in asked[0]:
        again += ["--schedule", asked[0]["schedule"]]
    if asked and len(asked) == 1 and "group" in asked[0]:
        again += [word for c, v in asked[0]["group"].items() for word in ("--group", f"{c}={v}")]
    return "\n".join(shlex.join(line) for line in (words, again))


def python_commands(fit: Fit, ahead: tuple[Ahead, ...], prob: float) -> str:
    """Return the same as `shell_commands` in Python."""
    settings = "".join(f", {name}={value!r}" for name, value in fit.settings.items())
    k = ""
    if "k" in fit.data and len(np.unique(fit.data["k"].values)) == 1:
        k = f", k={fit.data['k'].values[0]:g}"
    read = f'bl.read_table("TABLE", spec{k})'
    if needs_schedule(fit.spec):
        read = f'bl.read_curves("TABLE", spec, schedules={json.dumps(_schedules(fit), ensure_ascii=False)})'
    given = [a.asked for a in ahead if not a.run]
    asked = given[0] if given else {}
    more = f", targets={_columns(asked['targets'])!r}" if "targets" in asked else ""
    more += f", schedule={asked['schedule']!r}" if "schedule" in asked else ""
    more += f", group={asked['group']!r}" if "group" in asked and len(given) == 1 else ""
    return "\n".join([
        "import bayeslaw as bl",
        "",
        f'spec = bl.load_model("{fit.spec.name}-frozen.toml")',
        f"data = {read}",
        f'fit = bl.fit(spec, data, "{fit.method}"{settings})',
        f'fit.tree.attrs["data_hash"] == "{fit.tree.attrs["data_hash"]}"',
        f'bl.report(fit, "report.html"{more}, prob={prob:g})',
    ])  # fmt: skip


def _schedules(fit: Fit) -> dict[str, str]:
    return json.loads(fit.data.attrs.get("schedules", "{}"))


def _columns(targets: Any) -> dict[str, list]:
    """Return targets as plain lists, for a command."""
    return {str(n): np.atleast_1d(np.asarray(v)).tolist() for n, v in dict(targets).items()}


def fit_words(fit: Fit) -> str:
    """Say how a fit was made."""
    wanders = fit.spec.discrepancy is not None and fit.method == "nuts"
    errors = (
        "with a discrepancy: the true curve may wander from the law" if wanders else "with independent errors"
    )
    if fit.method == "map":
        errors = (
            "Huber loss, minimised from many starts; its intervals come from a bootstrap and the residuals"
        )
    return f"{fit.spec.title}: {fit.spec.law.text} ({fit.spec.source}). {_METHOD[fit.method]} of {fit.data.sizes['obs']} rows, {errors}."
