"""Holds a law as data: what a model file says, as frozen dataclasses.

`bayeslaw.law.parse` makes them from the plain tables of a TOML file. Nothing here knows about priors'
densities, PyMC or data frames.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import tomli_w

from bayeslaw.core.errors import check_type
from bayeslaw.law.expression import Expression
from bayeslaw.law.families import FAMILIES, KERNELS, Family, Kernel
from bayeslaw.law.types import Document

SUPPORTS = ("real", "positive", "unit", "simplex")
SCALES = ("identity", "log", "logit")
REFERENCES = ("geometric-mean", "mean", "median", "minimum", "maximum")
OUTLIERS = ("auto", True, False)
SMALLEST, LARGEST = 1e-100, 1e100
"""Sizes that numbers of a law and its data may have, zero aside; `bayeslaw.data.sizes` says why."""
TEXT = ("model", "run", "benchmark", "problem", "difficulty")
"""The known columns that hold names."""
JOINT = "\x1f"
"""Stands between the columns over which a parameter is pooled, and between their labels. ASCII's own separator
of units: neither a column nor a label may hold it, so that joined ones cannot be mistaken."""


@dataclass(frozen=True)
class Input:
    """A quantity that the table supplies, one value a row or one function a row.

    Attributes
    ----------
    column : str
        The table's column; of a function its name.
    reference : str, float or None
        The statistic of the column that is frozen as ``ref_<input>``, or its value.
    function : str or None
        A name of `bayeslaw.law.schedule_inputs.FUNCTIONS`.
    arguments : tuple of str
        The parameters that the function takes.
    ranges : tuple of (float, float)
        Where each of them may lie.
    """

    name: str
    column: str
    meaning: str
    unit: str
    reference: str | float | None = None
    function: str | None = None
    arguments: tuple[str, ...] = ()
    ranges: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Output:
    """What the law predicts: its column, its unit, and the scale on which errors are judged."""

    name: str
    unit: str
    scale: str


@dataclass(frozen=True)
class Parameter:
    """A quantity that is sampled, or fixed."""

    name: str
    meaning: str
    support: str
    unit: str = ""
    prior_90: tuple[float, float] | None = None
    bounds: tuple[float, float] | None = None
    names: tuple[str, ...] = ()
    concentration: float = 1.0
    fixed: float | None = None
    ridge: Expression | None = None
    pool: tuple[str, ...] = ()


@dataclass(frozen=True)
class Derived:
    """A parameter of the paper, computed from the sampled ones."""

    name: str
    formula: Expression
    meaning: str
    unit: str


@dataclass(frozen=True)
class Discrepancy:
    """Says how the true curve may deviate from the law.

    Attributes
    ----------
    kernel : str
        One of `bayeslaw.law.families.KERNELS`.
    over : tuple of str
        The inputs that it runs over, in e-folds; for ``exponential`` one column of the curves.
    within : str or None
        For ``exponential``: the column that names the curves.
    relative : bool
        Whether its scale counts in units of the run noise (``unit = "sigma"``).
    groups : str or None
        The column of groups that share a part of it, and have a part of their own.
    runs : str or None
        The column of runs whose rows, checkpoints, share an error.
    """

    kernel: str
    over: tuple[str, ...]
    within: str | None = None
    relative: bool = False
    groups: str | None = None
    runs: str | None = None

    @property
    def traits(self) -> Kernel:
        """What a discrepancy of this kernel can do."""
        return KERNELS[self.kernel]


def shared_sizes(groups: str | None, runs: str | None) -> dict[str, Parameter]:
    """Return the parameters of a discrepancy of groups, and of errors that the rows of a run share."""
    out = {}
    if groups is not None:
        meaning = f"share of the discrepancy that is each {groups}'s own"
        out["discrepancy_own"] = Parameter("discrepancy_own", meaning, "unit")
    if runs is not None:
        meaning = f"error that all rows of a {runs} share, relative to run noise"
        out["discrepancy_run"] = Parameter("discrepancy_run", meaning, "positive", "sigma", (0.2, 5.0))
    return out


@dataclass(frozen=True)
class PointFit:
    """The source's point fit: Huber threshold, where it starts, what it holds fixed."""

    delta: float = 1e-3
    starts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    fix: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """A law with its inputs, priors and observation model.

    Made by `load_model`; changed by `change`, which returns a new one. `document` holds the plain
    tables it was read from, `to_toml` writes them. `likelihood` is what the file says of the rows'
    scatter, `noise` the parameters that its observation model has: those, the discrepancy's, the
    spreads of pooled parameters. `sigma_over` is the input along which the scale of run noise changes,
    with the exponent ``sigma_slope``; None if it is the same everywhere.
    """

    name: str
    title: str
    source: str
    law: Expression
    inputs: Mapping[str, Input]
    output: Output
    parameters: Mapping[str, Parameter]
    derived: Mapping[str, Derived]
    inverse: Mapping[str, Expression]
    family: str
    likelihood: Mapping[str, Parameter]
    discrepancy: Discrepancy | None
    outliers: str | bool
    noise: Mapping[str, Parameter]
    map: PointFit
    document: Document = field(repr=False, compare=False)
    sigma_over: str | None = None

    @property
    def traits(self) -> Family:
        """What the observation model of this likelihood can do."""
        return FAMILIES[self.family]

    @property
    def marginalised(self) -> bool:
        """Whether a discrepancy's scale and length are marginalised; those of loss curves are sampled."""
        return self.discrepancy is not None and self.discrepancy.traits.marginalised

    @property
    def along_runs(self) -> bool:
        """Whether each run has a discrepancy of its own, along its curve."""
        return self.discrepancy is not None and self.discrepancy.traits.along_runs

    @property
    def shown_unit(self) -> str:
        """The unit in which rows are compared with what was observed."""
        return self.traits.shown_unit or self.output.unit

    @property
    def scalar_names(self) -> tuple[str, ...]:
        """Names of the law's scalar parameters in order, shares of a simplex one by one."""
        return tuple(n for p in self.parameters.values() for n in (p.names or (p.name,)))

    @property
    def pooled(self) -> dict[str, str]:
        """By parameter, the column of groups over which it is partially pooled.

        Of several columns the joined one, whose labels are their combinations (see `groups.row_groups`);
        `pool_columns` has the columns behind it.
        """
        return {p.name: JOINT.join(p.pool) for p in self.parameters.values() if p.pool}

    @property
    def pool_columns(self) -> dict[str, tuple[str, ...]]:
        """The table's columns behind each column of `pooled`, in the order of the file, and those of a discrepancy's groups."""
        found = {JOINT.join(p.pool): p.pool for p in self.parameters.values() if p.pool}
        groups = self.discrepancy.groups if self.discrepancy else None
        return found if groups is None else {**found, groups: (groups,)}

    @property
    def group_columns(self) -> tuple[str, ...]:
        """All columns of the table that name groups, each once."""
        return tuple(dict.fromkeys(c for columns in self.pool_columns.values() for c in columns))

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The table's columns of names that matter to a fit: those of groups, and of runs that share an error."""
        runs = self.discrepancy.runs if self.discrepancy else None
        return self.group_columns if runs is None else tuple(dict.fromkeys((*self.group_columns, runs)))

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the derived quantities that are one number a law (not one a row)."""
        by_row = set(self.inputs)
        for name, derived in self.derived.items():  # each stands behind those it uses
            if derived.formula.calls or derived.formula.symbols & by_row:
                by_row.add(name)
        return tuple(n for n in self.derived if n not in by_row)

    def to_toml(self) -> str:
        """Return the text of a model file that says the same."""
        return tomli_w.dumps(copy.deepcopy(dict(self.document)))


def check_spec(what: str, spec: object) -> None:
    """Refuse what is no law.

    Parameters
    ----------
    what : str
        What to call it in the message.
    spec : object

    Raises
    ------
    InputError
    """
    check_type(what, spec, Spec, "a law from load_model, maybe changed by change")
