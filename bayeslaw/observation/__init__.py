"""Observation models: how rows scatter around the law, seen or new.

A module a model behind one interface (`base`), and one table of which spec has which (`registry`).
"""
