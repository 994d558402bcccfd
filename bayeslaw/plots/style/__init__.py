"""Holds what all figures share: colours, layout, names and units on axes, legends, captions."""
