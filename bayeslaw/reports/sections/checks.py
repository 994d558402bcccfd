"""List every check of every fit and of its forecasts."""

from __future__ import annotations

from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section


def checks_section(content: Content) -> Section:
    """List all checks, those that are fine too."""
    return Section(
        "Checks", parts=tuple(Section(case.name, checks=case.all_checks) for case in content.cases)
    )
