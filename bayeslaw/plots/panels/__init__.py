"""Draws the panels that figures are made of: each function draws one thing on one axes."""
