"""Products of a matrix and a vector, compiled: loops that are vectorised where they stand.

A library of linear algebra takes longer to be called than these take for small matrices, and every expression of
whole arrays takes long to compile.
"""

from __future__ import annotations

from bayeslaw.core.compiled import compiled

FAST = {"reassoc", "contract", "nsz"}
"""Sums may be taken several numbers at a time."""


@compiled(fast=FAST)
def times(vector, matrix, first, out):
    """Fill out with vector @ matrix, from the matrix' column `first` on."""
    out[:] = 0.0
    for i in range(len(vector)):
        factor, row = vector[i], matrix[i, first : first + len(out)]
        for j in range(len(out)):
            out[j] += factor * row[j]


@compiled(fast=FAST)
def times_turned(matrix, first, vector, out):
    """Fill out with matrix @ vector, from the matrix' column `first` on."""
    for i in range(len(out)):
        total, row = 0.0, matrix[i, first : first + len(vector)]
        for j in range(len(vector)):
            total += row[j] * vector[j]
        out[i] = total
