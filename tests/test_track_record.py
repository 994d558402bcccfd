"""The table of how often intervals held: what ships, which row a forecast cites, and its words."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import xarray as xr
from conftest import handmade

import bayeslaw as bl
from bayeslaw.cli.guide import topics
from bayeslaw.forecasts import track_record as record
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.forecasts.track_record import EDGES, Row, at_distance, cited, from_json, to_json
from bayeslaw.law.catalogue import models_folder
from bayeslaw.reports.terminal.fits import forecast_text
from bayeslaw.reports.wording import record_words

SHIPPED = {path.stem for path in models_folder().glob("*.toml")}
ROWS = (
    Row("compute", "1", "pass@k", 0.5, 1.0, 3, 90, 81, 0.7, 1.0),
    Row("compute", "1", "pass@k", 2.0, EDGES[-1], 1, 10, 8, 0.3, 1.0),
    Row("", "1", "pass@k", 0.5, 1.0, 4, 120, 100, 0.6, 0.95),
    Row("broken-power + power", "1", "loss", 0.5, 1.0, 2, 20, 19, 0.6, 1.0),
)


@pytest.fixture
def known(monkeypatch):
    """A small table in place of the one that ships."""
    monkeypatch.setattr(record, "track_record", lambda: ROWS)


# ---- what ships


def test_the_table_that_ships_adds_up():
    rows = record.track_record()
    assert rows
    spans = {(0.0, 0.0), *pairwise(EDGES)}
    for row in rows:
        assert set(row.law.split(" + ")) <= SHIPPED | {""}
        assert row.inputs in {"1", "2", "schedule"}
        assert row.data in {"loss", "pass@k"}
        assert (row.beyond, row.up_to) in spans
        assert 1 <= row.tables <= row.outcomes
        assert 0 <= row.inside <= row.outcomes
        assert 0 <= row.low < row.high <= 1
    keys = [(r.law, r.inputs, r.data, r.beyond) for r in rows if r.up_to]
    assert len(set(keys)) == len(keys)


def test_all_laws_together_count_what_each_counts():
    """A row of all laws stands for every table that a law of as many inputs was fitted to."""
    rows = [r for r in record.track_record() if r.law]
    every = {(r.inputs, r.data, r.beyond, r.up_to): r for r in record.track_record() if not r.law}
    for row in rows:
        assert every[row.inputs, row.data, row.beyond, row.up_to].tables >= row.tables


def test_the_guide_shows_the_table_that_ships():
    guide = (topics()["calibration"][0]).read_text(encoding="utf-8")
    for row in record.track_record():
        if row.law:
            share = f"{100 * row.inside / row.outcomes:.0f} % of {row.outcomes}"
            assert f"{share} ({row.tables}: {100 * row.low:.0f}-{100 * row.high:.0f} %)" in guide


# ---- which row


def test_a_shipped_law_cites_its_own_rows_near_ones_first(known):
    fit = handmade("compute")
    found = cited(fit, [3.0, 0.7, 0.6])
    assert found == [ROWS[0], ROWS[1]]
    assert at_distance(found, 0.7) == ROWS[0]
    assert at_distance(found, 3.0) == ROWS[1]


@pytest.mark.parametrize(("orders", "beyond"), [(0.0, 0.0), (1e-3, 0.0), (0.5, 0.0), (0.51, 0.5), (1 + 1e-9, 0.5), (2.1, 2.0)])  # fmt: skip
def test_a_distance_that_is_an_edge_but_for_rounding_does_not_exceed_it(orders, beyond):
    (row,) = cited(handmade("compute"), [orders])
    assert row.beyond == beyond
    assert (row.up_to == 0) == (orders == 0)
    assert at_distance([row], orders) is row


def test_where_nothing_was_measured_a_row_counts_nothing(known):
    (row,) = cited(handmade("compute"), [1.5])
    assert (row.outcomes, row.tables) == (0, 0)


def own_law(tmp_path, text: str = "E0 + C0 * C**-(alpha)"):
    toml = (models_folder() / "compute.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(toml.replace('law    = "E0 + C0 * C**-alpha"', f'law    = "{text}"'), encoding="utf-8")
    return bl.load_model(path)


def test_a_law_of_a_users_own_cites_all_laws_with_as_many_inputs(known, tmp_path):
    fit = handmade("compute", spec=own_law(tmp_path))
    (row,) = cited(fit, [0.7])
    assert row == ROWS[2]
    assert record_words(row).startswith("this law was not measured; of 120 runs")
    assert "shipped laws of one input" in record_words(row)


def test_independent_errors_cite_nothing(known):
    fit = handmade("compute", spec=bl.change(bl.load_model("compute"), discrepancy=None))
    (row,) = cited(fit, [0.7])
    assert not row.outcomes


def test_counts_cite_nothing(known):
    spec = bl.change(bl.load_model("compute"), likelihood={"family": "Binomial"})
    fit = replace(handmade("compute"), spec=spec)
    (row,) = cited(fit, [0.7])
    assert not row.outcomes


def test_a_point_fit_cites_nothing(known, point_fit):
    (row,) = cited(point_fit, [0.7])
    assert not row.outcomes


def test_a_mixture_cites_its_own_rows_alone(known):
    fits = {"power": handmade("power"), "sigmoid-power": handmade("sigmoid-power", data=handmade("power").data)}  # fmt: skip
    (row,) = cited(Mixture(fits, dict.fromkeys(fits, 0.5), xr.Dataset()), [0.7])
    assert (row.law, row.outcomes) == ("power + sigmoid-power", 0)


# ---- its words


def test_the_words_count_runs_and_tables():
    assert record_words(ROWS[0]) == (
        "of 90 runs 0.5 to 1 orders of magnitude beyond public tables of pass@k, 90 % landed inside the 90 % interval of "
        "compute (3 tables, 70-100 %)"
    )
    assert "more than 2 orders of magnitude" in record_words(ROWS[1])
    assert "(1 table, 30-100 %)" in record_words(ROWS[1])


def test_the_words_say_where_nothing_was_measured():
    row = Row("compute", "1", "pass@k", 1.0, 2.0)
    assert record_words(row) == (
        "nothing was measured of forecasts like this one 1 to 2 orders of magnitude beyond the data"
    )


def test_rows_travel_as_json_without_infinities():
    text = to_json(ROWS)
    assert "Infinity" not in text
    assert json.loads(text)[1]["up_to"] is None
    assert tuple(from_json(text)) == ROWS


def test_a_forecast_cites_and_the_terminal_says(known):
    fit = handmade("compute")
    top = float(fit.data["compute"].max())
    fc = bl.forecast(fit, {"C": [top * 5, top * 1000]})
    assert from_json(fc.attrs["track_record"]) == [ROWS[0], ROWS[1]]
    assert forecast_text(fc).count("track record: of ") == 2
    again = bl.forecast(fit, {"C": [top * 20]})
    assert "track record: nothing was measured" in forecast_text(again)


def test_the_report_cites_the_row_under_its_number(known, tmp_path):
    fit = handmade("compute")
    top = float(fit.data["compute"].max())
    page = bl.report(fit, tmp_path / "report.html", targets={"C": [top * 5]})
    assert "of 90 runs 0.5 to 1 orders of magnitude beyond public tables" in page.read_text(encoding="utf-8")
