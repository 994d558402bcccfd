"""``python -m bayeslaw`` is the command line."""

from bayeslaw.cli.main import run

run()
