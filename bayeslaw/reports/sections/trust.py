"""Say whether the numbers can be trusted: what the checks found."""

from __future__ import annotations

from dataclasses import replace

from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section
from bayeslaw.reports.verdict import checked, verdict_status


def trust_section(content: Content) -> Section:
    """Say what the checks found: whether the sampler did its work, and what may mislead."""
    cases = content.cases
    odd = [
        replace(check, name=f"{case.name}: {check.name}" if len(cases) > 1 else check.name)
        for case in cases
        for check in case.all_checks
        if check.level != "ok"
    ]
    told = tuple(checked(case) for case in cases)
    return Section("Can it be trusted?", told, checks=tuple(odd), status=verdict_status(cases))
