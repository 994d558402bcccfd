"""Name axes, with their units."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from bayeslaw.inference.fit import Fit
from bayeslaw.law.spec import Spec
from bayeslaw.plots.style.axes import log_axis
from bayeslaw.plots.style.texts import fitted, plain


def finish_input_axes(ax: Axes, fit: Fit, name: str) -> None:
    """Name both axes of a panel that has an input across and the output up."""
    label_input(ax, fit.spec, name, fit.data[fit.spec.inputs[name].column].values)
    ax.set_ylabel(fitted(ax, output_label(fit), "y"))
    if fit.spec.output.scale == "log":
        log_axis(ax, "y")


def label_input(ax: Axes, spec: Spec, name: str, values: np.ndarray) -> None:
    """Name the horizontal axis after an input, logarithmic where it can be."""
    entry = spec.inputs[name]
    ax.set_xlabel(fitted(ax, plain(f"{name}: {entry.meaning or entry.column} ({entry.unit or '1'})")))
    if (values > 0).all():
        log_axis(ax, "x")


def output_label(fit: Fit) -> str:
    """Return the output's name and unit, with the k of pass@k where there is one."""
    name, unit = plain(fit.spec.output.name), plain(fit.spec.output.unit)
    if name != "neg_log_pass_at_k":
        return f"{name.replace('_', ' ')} ({unit})"
    ks = np.unique(fit.data["k"].values) if "k" in fit.data else []
    return f"neg log pass@k ({unit})" + (f", k = {ks[0]:g}" if len(ks) == 1 else "")


def residual_unit(spec: Spec) -> str:
    """Return the unit of the scale on which errors are judged."""
    return {"log": "log observed/fitted", "logit": "logit"}.get(spec.output.scale, plain(spec.output.unit))


def unit_of(spec: Spec, name: str) -> str:
    """Return a parameter's unit; 1 where it has none."""
    if any(name in p.names for p in spec.parameters.values()):
        return "share"
    entry = spec.derived.get(name) or spec.parameters.get(name) or spec.noise.get(name)
    share = getattr(entry, "support", None) == "unit" and "share" in entry.meaning
    return plain(entry.unit if entry else "") or ("share" if share else "1")
