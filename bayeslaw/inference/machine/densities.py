"""Log densities that know their gradients: how the machine calls each.

A row of the table for each: the compiled function takes what varies, then data, and returns the value and the
gradient by each that varies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Density:
    """What a density takes.

    Attributes
    ----------
    varying : tuple of int
        Ranks of what it is differentiated by.
    data : tuple of (str, int)
        Kind and rank of the rest: "float" or "int".
    """

    varying: tuple[int, ...]
    data: tuple[tuple[str, int], ...]


_INT, _SCALAR, _VECTOR, _MATRIX = ("int", 1), ("float", 0), ("float", 1), ("float", 2)
DENSITIES = {
    "forest": Density((1, 0, 0, 0), (_VECTOR, _INT, _VECTOR)),
    "covariance": Density(
        (1, 0),
        (
            _MATRIX,
            _MATRIX,
            _MATRIX,
            *(_VECTOR,) * 4,
            _INT,
            *(_VECTOR,) * 5,
            _MATRIX,
            _MATRIX,
            _SCALAR,
            _SCALAR,
            _SCALAR,
        ),
    ),
    "nodes": Density(
        (1, 0), (_MATRIX, _VECTOR, _VECTOR, *(_MATRIX,) * 7, *(_VECTOR,) * 3, _SCALAR, _SCALAR, _SCALAR)
    ),
}


def call_table(
    name: str,
    places: Sequence[int],
    data: Sequence[np.ndarray],
    constant: Callable[[np.ndarray], int],
    integers: Callable[[np.ndarray], int],
) -> list[int]:
    """Return where a call finds what it takes.

    Parameters
    ----------
    name : str
    places : sequence of int
        Where what varies begins.
    data : sequence of numpy.ndarray
    constant, integers : callable
        Keep an array, and return where it begins.

    Returns
    -------
    list of int
        The places, then the beginning and the length along two axes of each array of data.
    """
    table = list(places)
    for array, (what, _) in zip(data, DENSITIES[name].data, strict=True):
        at = (constant if what == "float" else integers)(array.ravel())
        rows, *rest = array.shape or (1,)
        table += [at, rows, rest[0] if rest else 1]
    return table
