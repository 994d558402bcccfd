"""Show laws side by side."""

from __future__ import annotations

from bayeslaw.core.check import Check, from_json
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section, Table


def comparison_section(content: Content) -> Section | None:
    """Show laws side by side."""
    table = content.comparison
    if table is None:
        return None
    units, checks = table.attrs.get("units") or {}, table.attrs.get("checks") or ()
    shown = table.rename(columns={n: f"{n.replace('_', ' ')} ({units[n]})" for n in table if units.get(n)})
    said = table.attrs.get("verdict") or ()
    texts = (said,) if isinstance(said, str) else tuple(map(str, said))
    found = from_json(checks) if isinstance(checks, str) else [c for c in checks if isinstance(c, Check)]
    return Section("Comparison", texts, (Table(shown, "Laws side by side."),), checks=tuple(found))
