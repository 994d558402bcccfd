"""Checks that the parts of a law go together: every name has one meaning, every symbol stands for something."""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.law.expression import Expression
from bayeslaw.law.functions import FUNCTIONS
from bayeslaw.law.spec import TEXT, Derived, Input, Spec

RANGES = {"real": (-math.inf, math.inf), "positive": (0.0, math.inf), "unit": (0.0, 1.0)}
"""Where a parameter may lie, by its support."""
_LEAST_SPAN = 1.5
"""Between the ends of the prior of a slope's wandering: a narrower one would need a grid without end."""
_RESERVED = (
    "chain", "draw", "obs", "objective", "residual",
    "discrepancy_scale", "discrepancy_length", "discrepancy_slope", "discrepancy_own", "discrepancy_run", "shift_scale",
)  # fmt: skip
"""Names that the tree of a fit has for something else."""
_PASSES = ("neg_log_pass_at_k", "pass_at_k", "c")
"""Columns that say one thing: what is known of one is known of the others."""


def in_order(derived: dict[str, Derived], refuse: Callable[[str, str], InputError]) -> dict[str, Derived]:
    """Sort derived quantities so that each comes after those it uses."""
    ordered: dict[str, Derived] = {}
    waiting = dict(derived)
    while waiting:
        ready = [n for n, d in waiting.items() if not (d.formula.symbols & waiting.keys())]
        if not ready:
            raise refuse("[derived]", f"{', '.join(waiting)} use each other in a circle.")
        for name in ready:
            ordered[name] = waiting.pop(name)
    return ordered


def holds_together(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Check that the parts of a spec go together: names, symbols, functions, discrepancy, point fit.

    Parameters
    ----------
    spec : Spec
    refuse : callable
        (place, what is wrong) -> the error to raise.

    Raises
    ------
    InputError
        If two parts do not go together.
    """
    _check_names(spec, refuse)
    _check_calls(spec, refuse)
    _check_symbols(spec, refuse)
    _check_functions(spec, refuse)
    _check_discrepancy(spec, refuse)
    _check_slope(spec, refuse)
    _check_sigma_slope(spec, refuse)
    _check_point_fit(spec, refuse)


def _check_names(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Refuse names that are no symbols, clash, or mean something else already."""
    seen: set[str] = set()
    simplexes = [p.name for p in spec.parameters.values() if p.names]
    spreads = [n for n in spec.noise if n not in (*spec.likelihood, *_RESERVED)]
    for name in (*spec.inputs, *spec.scalar_names, *simplexes, *spec.derived, *spec.likelihood, *spreads):
        if keyword.iskeyword(name):
            hint = " (call it 'lam')" if name == "lambda" else ""
            raise refuse("names", f"{name!r} is a word of Python and can't be a symbol{hint}.")
        if not name.isidentifier() or name.startswith(("ref_", "_")) or name in FUNCTIONS:
            raise refuse(
                "names",
                f"{name!r} can't be a symbol: letters, digits and _, not starting with ref_ or _, "
                f"and not one of {', '.join(FUNCTIONS)}.",
            )
        if name in _RESERVED:
            raise refuse("names", f"{name!r} is taken by the fit's own tree; choose another name.")
        if name in seen:
            raise refuse("names", f"{name!r} is defined twice; names are unique in a file.")
        seen.add(name)
    _refuse_circles(spec, refuse)


def _refuse_circles(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Refuse a law that predicts a column from the same column."""
    curves = (*spec.discrepancy.over, spec.discrepancy.within) if spec.discrepancy else ()
    places = [(f"[inputs] {i.name}", i.column) for i in spec.inputs.values()]
    places += [("[discrepancy]", name) for name in curves if name is not None and name not in spec.inputs]
    places += [(f"[parameters] {n} pool", c) for n, pool in spec.pooled.items() for c in ([pool] if isinstance(pool, str) else pool)]  # fmt: skip
    names = [(f"[inputs] {i.name}", i.column) for i in spec.inputs.values() if i.function is None]
    for where, column in [*names, ("[output] name", spec.output.name)]:
        if column in TEXT:
            raise refuse(where, f"the column {column!r} holds names, and a law takes numbers; give the column another name, in the model file and with rename={{'theirs': 'ours'}}.")  # fmt: skip
    told = _PASSES if spec.output.name in _PASSES else (spec.output.name,)
    for where, column in places:
        if column in told:
            raise refuse(where, f"the column {column!r} is what the law predicts ({spec.output.name}), so it can't say anything of it; take another column.")  # fmt: skip


def _check_calls(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Refuse calls with several arguments of what is no function, where they stand; one argument may be an input's."""
    functions = {i.name for i in spec.inputs.values() if i.function}
    formulas = {"law": spec.law} | {f"[derived] {n}": d.formula for n, d in spec.derived.items()}
    formulas |= {f"[inverse] {n}": f for n, f in spec.inverse.items()}
    formulas |= {
        f"[parameters] {n} ridge": p.ridge for n, p in spec.parameters.items() if p.ridge is not None
    }
    for where, formula in formulas.items():
        for name, *arguments in sorted(formula.calls):
            if len(arguments) > 1 and name not in functions:
                raise refuse(
                    where, f"unknown function {name!r}{did_you_mean(name, {*FUNCTIONS, *functions})}"
                )


def _check_symbols(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Check that every symbol of a formula exists, and that formulas use every parameter."""
    scalars = set(spec.scalar_names)
    references = {f"ref_{i.name}" for i in spec.inputs.values() if i.reference is not None}
    plain = {i.name for i in spec.inputs.values() if i.function is None}
    allowed = scalars | references | plain | set(spec.derived)
    formulas = {"law": spec.law} | {f"[derived] {n}": d.formula for n, d in spec.derived.items()}
    for where, formula in formulas.items():
        _refuse_odd(formula.symbols - allowed, allowed, where, refuse)
    for where, formula in {f"[inverse] {n}": f for n, f in spec.inverse.items()}.items():
        _refuse_odd(formula.symbols - (allowed - plain), allowed - plain, where, refuse)
        _refuse_calls(formula, where, refuse)
    steady = {n for p in spec.parameters.values() if p.ridge is None for n in (p.names or (p.name,))}
    for p in spec.parameters.values():
        if p.ridge is not None:
            _refuse_odd(p.ridge.symbols - steady, steady, f"[parameters] {p.name} ridge", refuse)
            _refuse_calls(p.ridge, f"[parameters] {p.name} ridge", refuse)
    odd = set(spec.inverse) - scalars
    _refuse_odd(odd, scalars, "[inverse]", refuse)
    used: set[str] = set(spec.law.symbols)
    for derived in reversed(list(spec.derived.values())):
        if derived.name in used:
            used |= derived.formula.symbols
    unused = [n for n in (*spec.scalar_names, *spec.derived) if n not in used]
    if unused:
        raise refuse("law", f"{', '.join(unused)} never used by the law, directly or through [derived]; "
                                   "use them in it or remove them.")  # fmt: skip
    idle = [n for n in spec.inputs if n in plain and n not in used and f"ref_{n}" not in used]
    if idle:
        raise refuse("[inputs]", f"{', '.join(idle)} never used by the law, nor through ref_{idle[0]}; "
                                        "use it in the law or remove it.")  # fmt: skip


def _refuse_odd(
    odd: AbstractSet[str], allowed: AbstractSet[str], where: str, refuse: Callable[[str, str], InputError]
) -> None:
    if odd:
        name = sorted(odd)[0]
        raise refuse(where, f"unknown symbol(s) {', '.join(sorted(odd))}{did_you_mean(name, allowed)} "
                                   "ref_<input> exists for an input that has a 'reference'.")  # fmt: skip


def _refuse_calls(formula: Expression, where: str, refuse: Callable[[str, str], InputError]) -> None:
    for name, *_ in sorted(formula.calls):
        raise refuse(where, f"unknown function {name!r}{did_you_mean(name, FUNCTIONS)}")


def _check_functions(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Check calls of function inputs, and that their arguments' priors stay in their ranges."""
    functions = {i.name: i for i in spec.inputs.values() if i.function}
    prepared: dict[str | None, Input] = {}
    for name, entry in functions.items():
        if (first := prepared.setdefault(entry.function, entry)).ranges != entry.ranges:
            raise refuse(f"[inputs] {name}", f"{entry.function} has other ranges than in {first.name}; give both the same.")  # fmt: skip
    called = set(spec.law.calls).union(*(d.formula.calls for d in spec.derived.values()))
    for name, *arguments in sorted(called):
        if name not in functions:
            raise refuse("law", f"unknown function {name!r}{did_you_mean(name, {*FUNCTIONS, *functions})}")
        wanted = functions[name].arguments
        if tuple(arguments) != wanted:
            own = "its argument is" if len(wanted) == 1 else "its arguments are"
            raise refuse("law", f"{name}({', '.join(arguments)}): {own} {', '.join(map(repr, wanted))}.")
    for name, entry in functions.items():
        where = f"[inputs] {name}"
        if (name, *entry.arguments) not in called:
            raise refuse(where, f"is never called; write {name}({', '.join(entry.arguments)}) in the law.")
        for argument, ends in zip(entry.arguments, entry.ranges, strict=True):
            _check_argument(spec, argument, ends, where, refuse)


def _check_argument(
    spec: Spec, argument: str, ends: tuple[float, float], where: str, refuse: Callable[[str, str], InputError]
) -> None:
    """Refuse a function's argument that is no parameter, or may leave the range."""
    parameter = spec.parameters.get(argument)
    if parameter is None:
        raise refuse(where, f"its argument {argument!r} is no parameter; it must be one.")
    low, high = ends
    fixed = parameter.fixed
    reach = (fixed, fixed) if fixed is not None else parameter.bounds
    if reach is None or reach[0] < low or reach[1] > high:
        raise refuse(where, f"the prior of {argument!r} leaves the range [{low:g}, {high:g}]; "
                                   "give it bounds = [low, high] inside.")  # fmt: skip


def _check_discrepancy(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Check what a discrepancy runs over: inputs on a ratio scale, or one column of the curves."""
    found = spec.discrepancy
    if found is None:
        return
    if found.traits.along_runs:
        if len(found.over) != 1:
            raise refuse(
                "[discrepancy] over", f'kernel = "{found.kernel}" runs over one column, such as ["step"].'
            )
        if spec.traits.counts:
            raise refuse(
                "[likelihood] family",
                f'"{spec.family}" is for counts, a row a model, and kernel = "{found.kernel}" for losses along curves; allowed beside '
                "counts: matern32, matern52, brownian over an input, or no discrepancy (change(spec, discrepancy=None)).",
            )
        return
    ratio = _on_ratio_scale(spec)
    for name in found.over:
        if name not in ratio:
            raise refuse(
                "[discrepancy] over",
                f"{name!r} is no input of the law with a 'reference', which e-folds are counted from{did_you_mean(name, ratio)}",
            )


def _on_ratio_scale(spec: Spec) -> list[str]:
    """Return the inputs that the law uses and that have a reference, from which e-folds are counted."""
    used = set(spec.law.symbols).union(*(d.formula.symbols for d in spec.derived.values()))
    return [i.name for i in spec.inputs.values() if i.reference is not None and i.name in used]


def _check_slope(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Refuse a wandering slope that is not marginalised: along runs, held, or as good as held."""
    slope, known = spec.noise.get("discrepancy_slope"), spec.discrepancy
    named = {"slope": slope, **({"groups": known.groups, "runs": known.runs} if known else {})}
    if spec.along_runs and (found := [n for n, v in named.items() if v is not None]):
        raise refuse("[discrepancy]", f"a discrepancy within runs has no '{found[0]}'; remove it.")
    run = spec.noise.get("discrepancy_run")
    if run is not None and (
        known is None or known.runs is None or not known.relative or run.fixed is not None
    ):
        raise refuse(
            "[discrepancy] run",
            "is marginalised: it goes with runs = 'column', a scale of unit = \"sigma\", and prior_90 = [low, high].",
        )
    if slope is None:
        return
    low, high = slope.prior_90 or (1.0, 1.0)
    if slope.fixed is not None or high < _LEAST_SPAN * low:
        raise refuse(
            "[discrepancy] slope",
            f"is marginalised and cannot be held; give prior_90 = [low, high], high at least {_LEAST_SPAN:g} times low, "
            "or remove it for a slope that does not wander.",
        )


def _check_sigma_slope(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    """Check what the scale of run noise changes along: an input on a ratio scale, of independent errors."""
    if spec.sigma_over is None:
        return
    if spec.discrepancy is not None:
        raise refuse(
            "[likelihood] sigma_slope",
            "goes with independent errors alone, and the law has a discrepancy; take out one of them: change(spec, discrepancy=None), "
            "or change(spec, likelihood={'sigma_slope': None}).",
        )
    if spec.sigma_over not in (ratio := _on_ratio_scale(spec)):
        raise refuse(
            "[likelihood] sigma_slope over",
            f"{spec.sigma_over!r} is no input of the law with a 'reference', which e-folds are counted from{did_you_mean(spec.sigma_over, ratio)}",
        )


def _check_point_fit(spec: Spec, refuse: Callable[[str, str], InputError]) -> None:
    natural = set(spec.scalar_names) | set(spec.derived)
    for name in (*spec.map.starts, *spec.map.fix):
        if name not in natural:
            raise refuse("[map]", f"unknown parameter {name!r}{did_you_mean(name, natural)}")
    for name, value in spec.map.fix.items():
        parameter = spec.parameters.get(name)
        low, high = (
            (parameter.bounds or RANGES[parameter.support]) if parameter and not parameter.names else (1, 0)
        )
        if not low <= value <= high:
            raise refuse("[map] fix", f"{name} = {value:g} must be a parameter's value inside its bounds.")
