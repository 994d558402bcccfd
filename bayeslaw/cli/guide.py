"""The command that shows the guide: pages of Markdown that ship with the package."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from bayeslaw.cli.output import say, stage
from bayeslaw.core.errors import InputError, did_you_mean

FOLDER = Path(__file__).parents[1] / "guide"
_TOPIC = re.compile(r"^- \[([\w-]+)\]\((\S+\.md)\): (.+)$", re.MULTILINE)
"""A line of the index: a topic, its page, what it answers."""
_WIDEST = 110
"""Longer lines are hard to read, however wide the terminal is."""


@click.command()
@click.argument("topic", required=False)
def guide(topic: str | None) -> None:
    """Show a page of the guide; without TOPIC, list the topics."""
    with stage("reading the guide"):
        known = topics()
        if topic is None:
            width = max(map(len, known))
            say("\n".join(f"{name:{width}s}  {answers}" for name, (_, answers) in known.items()))
            say("\nbayeslaw guide TOPIC shows a page.")
            return
        if topic not in known:
            raise InputError(f"guide: no topic {topic!r}{did_you_mean(topic, known)}")
        text = known[topic][0].read_text(encoding="utf-8")
    if sys.stdout.isatty():
        _render(text)
    else:
        say(text.rstrip("\n"))


def topics() -> dict[str, tuple[Path, str]]:
    """Return the pages of the guide, in the order of its index.

    Returns
    -------
    dict of str to (pathlib.Path, str)
        By topic the file and a line on what it answers.
    """
    from bayeslaw.law.catalogue import models_folder

    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    # Model files lie beside the package in a checkout and inside it in a wheel: a link knows one of them.
    return {
        name: (models_folder() / Path(link).name if "models/" in link else FOLDER / link, answers)
        for name, link, answers in _TOPIC.findall(index)
    }


def _render(text: str) -> None:
    """Lay a page out for a terminal."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(text), width=min(console.width, _WIDEST))
