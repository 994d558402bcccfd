"""Write the commands that make a fit and its report again, in a shell and in Python."""

from __future__ import annotations

import json
import shlex
from typing import Any

import numpy as np

from bayeslaw.data.curves import needs_schedule
from bayeslaw.inference.fit import Fit
from bayeslaw.reports.ahead import Ahead


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
