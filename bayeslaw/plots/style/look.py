"""Set the colours and Matplotlib's settings that all figures share."""

from __future__ import annotations

COLOURS = ("#1f5fa8", "#c8561b", "#2b8a57", "#7d4fa3", "#a8841f", "#b23a5e", "#3a8fa3", "#6b6b6b")
"""One colour for each run, or level of another input; used again from the start beyond eight."""
MARK = "#2b8a57"
"""Colour of what a posterior is held against: the truth, a published value."""
INK, GREY = "#222222", "#8a8a8a"
WIDE = 10.0
"""Inches of a figure with panels side by side: what a report's page shows without shrinking it."""
STYLE = {
    "font.size": 9.0, "axes.titlesize": 10.0, "axes.titlelocation": "left", "axes.labelsize": 9.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#555555",
    "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False, "legend.fontsize": 8.0, "lines.linewidth": 1.4, "savefig.dpi": 150,
    "svg.hashsalt": "bayeslaw", "axes.formatter.useoffset": False,
}  # fmt: skip
