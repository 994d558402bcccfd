"""Writes what people read: the HTML report, the terminal's text, and how a fit shows itself in a notebook."""
