"""Lays out tables and checks as plain text, for the terminal."""
