"""Show over how many orders of magnitude the parameters are stable."""

from __future__ import annotations

from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Picture, Section, Table


def stability_section(content: Content) -> Section | None:
    """Show over how many orders of magnitude the parameters are stable."""
    if not content.stability:
        return None
    from bayeslaw.plots.stability import plot_stability
    from bayeslaw.studies.stability.study import stable_spans

    parts = []
    for name, study in content.stability.items():
        alt = f"Parameters of {name} from window to window, with their intervals."
        table = Table(stable_spans(study), "Over how many orders of magnitude each parameter is stable.")
        said = (f"{name}, along {study.attrs['along']}: {study.attrs['law_verdict']}.",)
        parts.append(Section(name, said, tables=(table,), figures=(Picture(plot_stability(study), alt),)))
    return Section("Stability", parts=tuple(parts))
