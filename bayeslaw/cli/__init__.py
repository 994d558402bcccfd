"""Offers the Python functions as commands, in the same words."""
