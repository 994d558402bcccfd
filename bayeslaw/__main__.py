"""``python -m bayeslaw`` is the command line."""

from bayeslaw.cli import run

run()
