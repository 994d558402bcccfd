"""Forecasts of a fit or of a mixture of laws: targets, intervals, scores against held-out rows, how far beyond the data they lie."""
