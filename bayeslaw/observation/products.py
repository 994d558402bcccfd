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
    n, m = len(vector), len(out)
    out[:] = 0.0
    for i in range(0, n - 1, 2):  # two rows at once: what is filled is read and written half as often
        a, b = vector[i], vector[i + 1]
        row, next_row = matrix[i, first : first + m], matrix[i + 1, first : first + m]
        for j in range(m):
            out[j] += a * row[j] + b * next_row[j]
    if n % 2:
        a, row = vector[n - 1], matrix[n - 1, first : first + m]
        for j in range(m):
            out[j] += a * row[j]


@compiled(fast=FAST)
def times_turned(matrix, first, vector, out):
    """Fill out with matrix @ vector, from the matrix' column `first` on."""
    for i in range(len(out)):
        total, row = 0.0, matrix[i, first : first + len(vector)]
        for j in range(len(vector)):
            total += row[j] * vector[j]
        out[i] = total
