"""Writes the sections of a report, one file each; `order` lists them."""
