"""A law bound to rows: worked out once, and passed on.

`bind` is the only function that takes a law and a dataset apart: the rows on the scale of errors, the inputs
by symbol, the groups and their labels, the references, the observation model. Fitting, predicting, checking
and scoring take what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.law.catalogue import resolve
from bayeslaw.law.evaluate import law_on_scale, used_inputs
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Draws, Observation, Rows, observed_rows
from bayeslaw.observation.pooling import by_row, group_labels, row_scores
from bayeslaw.observation.registry import observation_of


@dataclass(frozen=True, eq=False)
class BoundLaw:
    """A law and the rows that it is held against.

    Attributes
    ----------
    spec : Spec
        Resolved: references are numbers.
    data : xarray.Dataset
        The table, as it was read.
    rows : Rows
        On the scale of errors; its ``columns`` hold inputs by symbol, and groups' labels.
    observation : Observation
        How rows scatter.
    """

    spec: Spec
    data: xr.Dataset = field(repr=False)
    rows: Rows = field(repr=False)
    observation: Observation

    @property
    def inputs(self) -> dict[str, Array]:
        """The law's inputs by symbol."""
        return {name: self.rows.columns[name] for name in used_inputs(self.spec)}

    @cached_property
    def labels(self) -> dict[str, list[str]]:
        """The groups of every pooled parameter's column, in the order of their scores."""
        return group_labels(self.spec, self.rows.columns)

    @cached_property
    def terms(self) -> dict[str, Array]:
        """What the observation model's compiled density takes."""
        return self.observation.prepare(self.rows)

    def law(
        self,
        values: Draws,
        columns: Mapping[str, Array] | None = None,
        rng: np.random.Generator | None = None,
    ) -> Array:
        """Evaluate the law for many draws, with each row's group's own parameters.

        Parameters
        ----------
        values : mapping of str to numpy.ndarray
            Draws, with the scores of pooled parameters.
        columns : mapping of str to numpy.ndarray, optional
            Other rows than the law's own, see `row_columns`.
        rng : numpy.random.Generator, optional
            For groups that were not seen.

        Returns
        -------
        numpy.ndarray, shape (draws, rows)
            On the scale of errors.
        """
        columns = self.rows.columns if columns is None else columns
        if self.spec.pooled:
            scores = row_scores(self.spec, values, self.labels, columns, rng)
            values = cast(Draws, by_row(self.spec, values, scores, np))  # of arrays: what it is made of is
        return law_on_scale(self.spec, values, columns)


def bind(spec: Spec, data: xr.Dataset) -> BoundLaw:
    """Bind a law to rows.

    Parameters
    ----------
    spec : Spec
        References given by name are computed from the rows.
    data : xarray.Dataset
        From `read_table` or `read_curves`.

    Returns
    -------
    BoundLaw

    Raises
    ------
    InputError
        If the data lack what the law needs, or a value has no place on the scale of errors.
    """
    if any(isinstance(entry.reference, str) for entry in spec.inputs.values()):
        spec = resolve(spec, data)
    rows = observed_rows(spec, data)
    known = spec.discrepancy
    for name in (known.groups, known.runs) if known is not None else ():
        if name is not None and name not in rows.columns:
            raise InputError(
                f"model '{spec.name}': the column {name!r} of its discrepancy is missing{did_you_mean(name, map(str, data.variables), 'The data have')}"
            )
    return BoundLaw(spec, data, rows, observation_of(spec))
