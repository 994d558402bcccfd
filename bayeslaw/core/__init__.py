"""Carries everything else: the one error, checks as values, files written whole or not at all, progress, numbers as text."""
