"""Reads model files: makes a `Spec` of plain tables, or one message that says where something is wrong, and what.

Nothing in a file can run code; formulas are checked against a closed table.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bayeslaw.core.errors import InputError, did_you_mean, shown
from bayeslaw.law import expression
from bayeslaw.law.coherence import RANGES, holds_together, in_order
from bayeslaw.law.expression import Expression
from bayeslaw.law.families import FAMILIES, KERNELS
from bayeslaw.law.schedule_inputs import FUNCTIONS
from bayeslaw.law.spec import (
    JOINT,
    LARGEST,
    OUTLIERS,
    REFERENCES,
    SCALES,
    SMALLEST,
    SUPPORTS,
    Derived,
    Discrepancy,
    Input,
    Output,
    Parameter,
    PointFit,
    Spec,
    shared_sizes,
)
from bayeslaw.law.types import Document

_SHIFT = "size of outlying rows' shifts"
_SLOPE = "sigma_slope"
SPREAD_90 = (0.03, 0.6)
"""Default prior of the spread between groups of a pooled parameter, on its link scale."""
SHIFT_SCALE = 0.1
"""Default size of outlying rows' shifts, in units of the run noise. Fixed: inferred, it ties all shifts
together and mixes badly (R-hat 1.05), while the tails are heavy enough for any outlier."""
_MAX_ENTRIES = 200
MOST_STARTS = 100_000
"""Combinations of a point fit's starts: twenty times the most that a source has."""
_HUGE = 1e300
_CLOSE = 1e-6
"""Ends of a prior that are no farther apart (relative; on the log or logit scale) make it a spike."""
_LINK: dict[str, Callable[[float], float]] = {
    "real": float,
    "positive": math.log,
    "unit": lambda x: math.log(x) - math.log1p(-x),
}


def parse_spec(document: Document, name: str) -> Spec:
    """Read the tables of a model file.

    Parameters
    ----------
    document : mapping
        As a TOML reader returns it.
    name : str
        The model's name, used in messages.

    Returns
    -------
    Spec

    Raises
    ------
    InputError
        Naming the section and the key, what was found, and what is allowed.
    """
    reader = _Reader(f"model '{name}'")
    sections = reader.table(
        document,
        "file",
        required=("law", "inputs", "output", "parameters", "likelihood"),
        optional=("name", "title", "source", "notes", "derived", "inverse", "discrepancy", "map"),
    )
    for key in ("name", "title", "source", "notes"):
        reader.text(sections.get(key, ""), key)
    likelihood = dict(reader.table(sections["likelihood"], "[likelihood]", ("family",), None))
    family = reader.choice(likelihood.pop("family"), FAMILIES, "[likelihood] family")
    reader.table(likelihood, "[likelihood]", FAMILIES[family].noise, ("outliers", "shift_scale", _SLOPE))
    sigma_over, slope = reader.sigma_slope(likelihood.pop(_SLOPE, None), family)
    outliers = reader.choice(likelihood.pop("outliers", "auto"), OUTLIERS, "[likelihood] outliers")
    shift = likelihood.pop("shift_scale", {"fixed": SHIFT_SCALE, "unit": "sigma", "meaning": _SHIFT})
    discrepancy, beside = reader.discrepancy(sections.get("discrepancy"))
    if discrepancy is not None and outliers is True:
        beside = {"shift_scale": reader.noise("shift_scale", shift, "[likelihood] shift_scale"), **beside}
    likelihood = reader.each(likelihood, "likelihood", reader.noise) | slope
    # Beside a discrepancy run noise is normal, with shifts for outlying rows: it has no shape.
    scatter = {n: p for n, p in likelihood.items() if discrepancy is None or n in ("sigma", _SLOPE)}
    spreads = reader.spreads(sections["parameters"])
    spec = Spec(
        name=sections.get("name", name),
        title=sections.get("title", name),
        source=sections.get("source", ""),
        law=expression.parse(sections["law"], reader.at("law")),
        inputs=reader.each(sections["inputs"], "inputs", reader.input),
        output=reader.output(sections["output"]),
        parameters=reader.each(sections["parameters"], "parameters", reader.parameter),
        derived=in_order(reader.each(sections.get("derived", {}), "derived", reader.derived), reader.refuse),
        inverse=reader.each(sections.get("inverse", {}), "inverse", reader.formula),
        family=family,
        likelihood=likelihood,
        discrepancy=discrepancy,
        outliers=outliers,
        noise={**scatter, **beside, **spreads},
        map=reader.point_fit(sections.get("map", {})),
        document=copy.deepcopy(dict(document)),
        sigma_over=sigma_over,
    )
    holds_together(spec, reader.refuse)
    return spec


class _Reader:
    """Reads pieces of a document; every message names the model and the place."""

    def __init__(self, model: str) -> None:
        self.model = model

    def at(self, where: str) -> str:
        return f"{self.model}, {where}"

    def refuse(self, where: str, what: str) -> InputError:
        return InputError(f"{self.at(where)}: {what}")

    def table(
        self, value: Any, where: str, required: Iterable[str], optional: Iterable[str] | None
    ) -> Mapping[str, Any]:
        """Check a table's keys; ``optional=None`` allows any."""
        if not isinstance(value, Mapping):
            raise self.refuse(where, f"expected a table, found {value!r}.")
        required = tuple(required)
        if optional is not None:
            allowed = {*required, *optional}
            for key in value:
                if key not in allowed:
                    raise self.refuse(where, f"unknown key {key!r}{did_you_mean(key, allowed)}")
        for key in required:
            if key not in value:
                raise self.refuse(where, f"the key '{key}' is missing; add it.")
        return value

    def each(self, value: Any, section: str, read: Any) -> dict[str, Any]:
        self.table(value, f"[{section}]", (), None)
        if len(value) > _MAX_ENTRIES:
            raise self.refuse(f"[{section}]", f"{len(value)} entries; at most {_MAX_ENTRIES} are allowed.")
        return {name: read(name, entry, f"[{section}] {name}") for name, entry in value.items()}

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise self.refuse(where, f"expected text in quotes, found {value!r}.")
        return value

    def number(self, value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _HUGE:
            raise self.refuse(where, f"expected a finite number, found {str(value)[:40]}.")
        return float(value)

    def numbers(self, value: Any, where: str) -> tuple[float, ...]:
        if not isinstance(value, list | tuple) or not value:
            raise self.refuse(where, f"expected a list of numbers, found {value!r}.")
        return tuple(self.number(v, where) for v in value)

    def choice(self, value: Any, allowed: Iterable[str | bool], where: str) -> Any:
        if value not in tuple(allowed):
            raise self.refuse(where, f"found {value!r}{did_you_mean(value, map(str, allowed))}")
        return value

    def interval(self, value: Any, where: str, support: str) -> tuple[float, float]:
        pair = self.numbers(value, where)
        low, high = RANGES[support]
        if len(pair) != 2 or not pair[0] < pair[1]:
            raise self.refuse(where, f"expected [low, high] with low < high, found {value!r}.")
        if support != "real" and not (low < pair[0] and pair[1] < high):
            raise self.refuse(where, f"{list(pair)} must lie strictly inside ({low:g}, {high:g}).")
        return pair[0], pair[1]

    def wide_enough(self, ends: tuple[float, float], where: str, support: str) -> None:
        """Refuse an interval that is one value to a sampler, or whose ends are no sizes of numbers."""
        low, high = (_LINK[support](end) for end in ends)
        if high - low <= _CLOSE * (max(abs(low), abs(high)) if support == "real" else 1.0):
            raise self.refuse(
                where,
                f"the ends of {list(ends)} are closer than {_CLOSE:g}, as good as one value; hold it with "
                f"fixed = {ends[0]:.6g} (change(spec, fix={{…}}), --fix).",
            )
        if any(abs(end) > LARGEST or 0 < abs(end) < SMALLEST for end in ends):
            allowed = f"ends of a size from {SMALLEST:g} to {LARGEST:g}"
            raise self.refuse(where, f"found {list(ends)}, allowed: {allowed}; check the unit.")

    def formula(self, name: str, value: Any, where: str) -> Expression:
        return expression.parse(value, self.at(where))

    def input(self, name: str, value: Any, where: str) -> Input:
        if isinstance(value, Mapping) and "function" in value:
            return self.function_input(name, value, where)
        entry = self.table(value, where, ("column",), ("meaning", "unit", "reference"))
        reference = entry.get("reference")
        if isinstance(reference, str):
            self.choice(reference, REFERENCES, f"{where} reference")
        elif reference is not None:
            reference = self.number(reference, f"{where} reference")
        meaning, unit = (self.text(entry.get(k, ""), where) for k in ("meaning", "unit"))
        return Input(name, self.text(entry["column"], where), meaning, unit, reference)

    def function_input(self, name: str, value: Mapping[str, Any], where: str) -> Input:
        """Read a function of one parameter, or of several: ``arguments`` and ``ranges`` in one order."""
        several = "arguments" in value
        keys = ("arguments", "ranges") if several else ("argument", "range")
        entry = self.table(value, where, ("function", *keys), ("meaning", "unit"))
        function = self.choice(entry["function"], FUNCTIONS, f"{where} function")
        meaning, unit = (self.text(entry.get(k, ""), where) for k in ("meaning", "unit"))
        names, ranges = (entry[key] if several else [entry[key]] for key in keys)
        supports = FUNCTIONS[function].supports
        for key, given in zip(keys, (names, ranges), strict=True):
            if not isinstance(given, list | tuple) or len(given) != len(supports):
                raise self.refuse(f"{where} {key}", f"{function} takes {len(supports)} parameter(s), found {shown(given)}; "
                                                    "give it as many arguments and ranges, in one order.")  # fmt: skip
        names = tuple(self.text(n, where) for n in names)
        if len(set(names)) < len(names):
            raise self.refuse(f"{where} {keys[0]}", f"expected different parameters, found {shown(names)}.")
        ranges = tuple(self.interval(ends, f"{where} {keys[1]}", s) for ends, s in zip(ranges, supports, strict=True))  # fmt: skip
        return Input(name, function, meaning, unit, None, function, names, ranges)

    def output(self, value: Any) -> Output:
        entry = self.table(value, "[output]", ("name", "unit"), ("scale",))
        scale = self.choice(entry.get("scale", "identity"), SCALES, "[output] scale")
        return Output(
            self.text(entry["name"], "[output] name"), self.text(entry["unit"], "[output] unit"), scale
        )

    def derived(self, name: str, value: Any, where: str) -> Derived:
        if isinstance(value, str):
            value = {"formula": value}
        entry = self.table(value, where, ("formula",), ("meaning", "unit"))
        meaning, unit = (self.text(entry.get(k, ""), where) for k in ("meaning", "unit"))
        return Derived(name, self.formula(name, entry["formula"], where), meaning, unit)

    def parameter(self, name: str, value: Any, where: str) -> Parameter:
        keys = (
            "meaning",
            "unit",
            "support",
            "prior_90",
            "bounds",
            "names",
            "concentration",
            "fixed",
            "ridge",
            "pool",
            "spread",
        )
        entry = self.table(value, where, (), keys)
        support = self.choice(entry.get("support", "real"), SUPPORTS, f"{where} support")
        if support == "simplex":
            return self.simplex(name, entry, where)
        for key in ("names", "concentration"):
            if key in entry:
                raise self.refuse(where, f"'{key}' belongs to support = \"simplex\" alone; remove it.")
        intervals = {
            key: self.interval(entry[key], f"{where} {key}", support)
            for key in ("prior_90", "bounds") if key in entry
        }  # fmt: skip
        for key, ends in intervals.items():
            self.wide_enough(ends, f"{where} {key}", support)
        if intervals.keys() == {"prior_90", "bounds"}:
            (low, high), (least, most) = intervals["prior_90"], intervals["bounds"]
            if not least <= low < high <= most:
                raise self.refuse(
                    where, f"prior_90 = [{low:g}, {high:g}] must lie in bounds = [{least:g}, {most:g}]."
                )
        fixed = None
        if "fixed" in entry:
            fixed = self.number(entry["fixed"], f"{where} fixed")
            low, high = intervals.get("bounds", RANGES[support])
            if not low <= fixed <= high:
                raise self.refuse(where, f"fixed = {fixed:g} lies outside [{low:g}, {high:g}].")
        elif support != "unit" and "prior_90" not in intervals:
            raise self.refuse(where, "a sampled parameter needs prior_90 = [low, high]; add it, or 'fixed'.")
        meaning, unit = (self.text(entry.get(k, ""), where) for k in ("meaning", "unit"))
        ridge = self.formula(name, entry["ridge"], f"{where} ridge") if "ridge" in entry else None
        pool = self.pool(entry["pool"], f"{where} pool") if "pool" in entry else ()
        if pool and ("bounds" in entry or fixed is not None):
            raise self.refuse(
                where, "'pool' goes with a parameter that is sampled and has no bounds; remove it."
            )
        if ridge is not None and (support != "positive" or "bounds" in entry):
            raise self.refuse(where, "'ridge' goes with support = \"positive\" and no bounds; remove it.")
        return Parameter(
            name, meaning, support, unit, intervals.get("prior_90"), intervals.get("bounds"),
            fixed=fixed, ridge=ridge, pool=pool,
        )  # fmt: skip

    def pool(self, value: Any, where: str) -> tuple[str, ...]:
        """Read the column of groups, or the columns whose combinations are the groups."""
        columns = (value,) if isinstance(value, str) else value
        texts = isinstance(columns, list | tuple) and all(isinstance(c, str) for c in columns)
        if not texts or not columns or len(set(columns)) < len(columns):
            raise self.refuse(where, f"expected text in quotes, a column, or a list of different ones, found {value!r}.")  # fmt: skip
        if odd := [c for c in columns if not c.strip() or JOINT in c or "/" in c or c in ("obs", "node")]:
            raise self.refuse(where, f"{odd[0]!r} cannot be the name of a column of groups.")
        return tuple(columns)

    def simplex(self, name: str, entry: Mapping[str, Any], where: str) -> Parameter:
        for key in ("prior_90", "bounds", "fixed", "ridge", "pool", "spread"):
            if key in entry:
                raise self.refuse(where, f"a simplex has no '{key}'; its prior is 'concentration'.")
        names = entry.get("names")
        if not isinstance(names, list | tuple) or len(names) < 2:
            raise self.refuse(where, f"a simplex needs names = [two or more], found {names!r}.")
        concentration = self.number(entry.get("concentration", 1.0), f"{where} concentration")
        if concentration <= 0:
            raise self.refuse(where, f"concentration = {concentration:g} must be positive.")
        names = tuple(self.text(n, f"{where} names") for n in names)
        return Parameter(name, self.text(entry.get("meaning", ""), where), "simplex",
                         names=names, concentration=concentration)  # fmt: skip

    def noise(self, name: str, value: Any, where: str) -> Parameter:
        entry = self.table(value, where, (), ("meaning", "unit", "prior_90", "fixed"))
        return self.parameter(name, {**entry, "support": "positive"}, where)

    def sigma_slope(self, value: Any, family: str) -> tuple[str | None, dict[str, Parameter]]:
        """Read the input along which the scale of run noise changes, and the exponent."""
        if value is None:
            return None, {}
        where = f"[likelihood] {_SLOPE}"
        if _SLOPE not in FAMILIES[family].optional:
            those = ", ".join(n for n, known in FAMILIES.items() if _SLOPE in known.optional)
            raise self.refuse(where, f'family = "{family}" has none; allowed with {those}; remove it.')
        entry = dict(self.table(value, where, ("over",), ("meaning", "unit", "prior_90", "fixed")))
        over = self.text(entry.pop("over"), f"{where} over")
        told = {"meaning": f"exponent of run noise along {over}", "unit": "per e-fold", "support": "real"}
        return over, {_SLOPE: self.parameter(_SLOPE, {**told, **entry}, where)}

    def discrepancy(self, value: Any) -> tuple[Discrepancy | None, dict[str, Parameter]]:
        """Read the discrepancy and the parameters that it has."""
        if value is None:
            return None, {}
        where = "[discrepancy]"
        optional = ("length", "slope", "within", "sigma", "groups", "runs", "run")
        entry = self.table(value, where, ("kernel", "over", "scale"), optional)
        kernel = self.choice(entry["kernel"], KERNELS, f"{where} kernel")
        over = entry["over"]
        if not isinstance(over, list | tuple) or not over or len(set(map(str, over))) < len(over):
            raise self.refuse(f"{where} over", f"expected a list of different inputs, found {over!r}.")
        for key, wanted in (("length", KERNELS[kernel].length), ("within", KERNELS[kernel].along_runs)):
            if (key in entry) != wanted:
                what = f"needs '{key}'; add it" if wanted else f"has no '{key}'; remove it"
                raise self.refuse(where, f'kernel = "{kernel}" {what}.')
        names = tuple(self.text(name, f"{where} over") for name in over)
        parameters = {
            f"discrepancy_{key}": self.noise(f"discrepancy_{key}", entry[key], f"{where} {key}")
            for key in ("scale", "length", "slope", "run") if key in entry
        }  # fmt: skip
        if "sigma" in entry:
            parameters["sigma"] = self.noise("sigma", entry["sigma"], f"{where} sigma")
        relative = parameters["discrepancy_scale"].unit == "sigma"
        columns = ("within", "groups", "runs")
        within, *both = (self.text(entry[n], f"{where} {n}") if n in entry else None for n in columns)
        return Discrepancy(kernel, names, within, relative, *both), shared_sizes(*both) | parameters

    def spreads(self, parameters: Mapping[str, Any]) -> dict[str, Parameter]:
        """Return the spread between groups of every pooled parameter."""
        out = {}
        for name, entry in self.table(parameters, "[parameters]", (), None).items():
            where = f"[parameters] {name}"
            if not isinstance(entry, Mapping) or not {"pool", "spread"} & entry.keys():
                continue
            if "pool" not in entry:
                raise self.refuse(where, "'spread' goes with 'pool'; add pool = 'column' or remove it.")
            columns = self.pool(entry["pool"], f"{where} pool")
            between = f"{columns[0]}s" if len(columns) == 1 else f"combinations of {' and '.join(columns)}"
            spread = {"prior_90": entry.get("spread", SPREAD_90), "meaning": f"spread of {name} between {between}",
                      "unit": "logit" if entry.get("support") == "unit" else "log"}  # fmt: skip
            out[f"{name}_spread"] = self.noise(f"{name}_spread", spread, f"{where} spread")
        return out

    def point_fit(self, value: Any) -> PointFit:
        entry = self.table(value, "[map]", (), ("delta", "starts", "fix"))
        delta = self.number(entry.get("delta", 1e-3), "[map] delta")
        if delta <= 0:
            raise self.refuse("[map] delta", f"{delta:g} must be positive.")
        starts = self.each(entry.get("starts", {}), "map.starts", lambda n, v, w: self.numbers(v, w))
        if (count := math.prod(len(v) for v in starts.values())) > MOST_STARTS:
            raise self.refuse(
                "[map] starts",
                f"{count:,} combinations, each a fit, allowed: at most {MOST_STARTS:,}; give fewer values of each.",
            )
        fix = self.each(entry.get("fix", {}), "map.fix", lambda n, v, w: self.number(v, w))
        return PointFit(delta, starts, fix)
