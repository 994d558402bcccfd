"""Back-tests: fit a part of the table, forecast the rest, and score what was said of it."""
