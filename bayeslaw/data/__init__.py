"""Reads tables into a dataset with one row per observation: filtered, joined, validated; pass@k from counts, loss curves, windows of rows."""
