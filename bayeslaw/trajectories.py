"""Correlated errors of loss curves (placeholder)."""

from __future__ import annotations


def trajectories(spec):
    """Not yet."""
    raise NotImplementedError
