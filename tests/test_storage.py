"""Whatever a table holds, a fit to it comes back from its file as it was."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.core.files import write_study
from bayeslaw.core.labels import MISSING, as_text
from bayeslaw.core.storage import storable
from bayeslaw.inference.saving import content_hash, data_hash
from bayeslaw.law.catalogue import parse_toml
from bayeslaw.reports.studies import read_study

LAW = """
title = "a slope of known steepness: one free parameter, fitted from one start"
source = "none"
law = "level * x**-alpha"
[inputs]
x = { column = "x", meaning = "what grows", unit = "1", reference = "geometric-mean" }
[output]
name = "y"
unit = "1"
scale = "log"
[parameters]
level = { meaning = "where it starts", unit = "1", support = "positive", prior_90 = [0.01, 10] }
alpha = { meaning = "steepness", support = "real", fixed = 0.3 }
[likelihood]
family = "Normal"
sigma = { meaning = "noise", unit = "log", prior_90 = [0.002, 0.2] }
[map]
starts = { level = [1.0] }
"""


LINE = parse_toml(LAW, "line")


def rows(size: int, **columns) -> pd.DataFrame:
    x = np.geomspace(10, 1e4, size)
    return pd.DataFrame({"x": x, "y": 2 * x**-0.3, **columns})


def fitted(data: xr.Dataset) -> bl.Fit:
    return bl.fit(LINE, data, "map", bootstrap=1, progress=False)


def assert_same(one: xr.Dataset, two: xr.Dataset) -> None:
    """Compare bit for bit: names and their order, dims, dtypes, values, coordinates and attributes."""
    assert list(one.variables) == list(two.variables)
    assert set(one.coords) == set(two.coords)
    assert repr(sorted(one.attrs.items())) == repr(sorted(two.attrs.items()))
    for name, a in one.variables.items():
        b = two.variables[name]
        assert (a.dims, a.dtype) == (b.dims, b.dtype), name
        assert repr(sorted(a.attrs.items())) == repr(sorted(b.attrs.items())), name
        if a.dtype == object:
            assert [(type(v), v) for v in a.values.flat] == [(type(v), v) for v in b.values.flat], name
        else:
            assert a.values.tobytes() == b.values.tobytes(), name


def assert_comes_back(fit: bl.Fit, path) -> None:
    again = bl.load_fit(fit.save(path))
    assert again.spec == fit.spec
    assert again.tree.attrs == fit.tree.attrs
    assert [node.path for node in again.tree.subtree] == [node.path for node in fit.tree.subtree]
    for one, two in zip(fit.tree.subtree, again.tree.subtree, strict=True):
        assert_same(one.to_dataset(inherit=False), two.to_dataset(inherit=False))
    assert_same(fit.data, again.data)


# ---- 200 tables

ANY_TEXT = st.text(max_size=6) | st.text(st.characters(exclude_categories=()), max_size=6)
UNICODE = st.text(max_size=6)
NOTHING = st.sampled_from([None, np.nan, pd.NA, pd.NaT])
DATES = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
ANYTHING = st.one_of(
    NOTHING, ANY_TEXT, st.booleans(), st.integers(), st.floats(), st.binary(max_size=3), DATES, st.decimals(),
    st.tuples(st.integers(), UNICODE), st.complex_numbers(),
)  # fmt: skip
INTEGERS = st.integers(-(2**63), 2**63 - 1)
BYTES = st.integers(0, 255)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"])

# Cells of a column, and its dtype; None leaves that to pandas.
KINDS = st.one_of(
    *(
        st.tuples(st.just(cells), st.just(dtype))
        for cells, dtype in [
            (ANYTHING, object), (ANY_TEXT, object), (ANY_TEXT | NOTHING, object), (NOTHING, object), (st.none(), object),
            (UNICODE, "str"), (UNICODE | st.none(), "str"), (UNICODE | st.none(), "string"), (st.none(), "string"),
            (st.booleans() | st.none(), object), (st.integers() | st.none(), object), (st.floats() | st.none(), object),
            (UNICODE | st.none(), "category"), (st.integers(0, 3) | st.none(), "category"), (st.none(), "category"),
            (st.booleans(), "bool"), (st.booleans() | st.none(), "boolean"), (st.none(), "boolean"),
            (INTEGERS, "int64"), (INTEGERS | st.none(), "Int64"), (st.none(), "Int64"), (BYTES, "uint8"), (BYTES | st.none(), "UInt8"),
            (st.floats(), "float64"), (st.floats(width=32), "float32"), (st.floats() | st.none(), "Float64"), (st.none(), "float64"),
            (st.complex_numbers(), "complex128"), (DATES | st.none(), "datetime64[ns]"), (st.none(), "datetime64[ns]"),
            (st.timedeltas(datetime.timedelta(-9999), datetime.timedelta(9999)) | st.none(), "timedelta64[ns]"),
            (DATES | st.none(), "period[D]"), (UNICODE | st.none(), "string[pyarrow]"), (st.booleans() | st.none(), "bool[pyarrow]"),
            (INTEGERS | st.none(), "int64[pyarrow]"), (st.none(), "null[pyarrow]"),
        ]
    )
)  # fmt: skip
NAMES = st.text(min_size=1, max_size=5) | st.sampled_from([
    "_FillValue", "_Netcdf4Dimid", "_nc4_non_coord_x", "__", "coordinates", "units", "dtype", "DIMENSION_LIST", ".", "..",
    " ", "a b", "a\n", "a.b", "a,b", "a:b", "tokens\xa0seen", "größe", "模型", "a\0b", "n" * 300, "chain", "draw", "start",
    "posterior", "constant_data", "level", "residual", "objective", "obs", "node", "a/b", "/", "outlying", "bent", "shared_by", "checks",
    "model", "run", "step", "seed", "n", "c", "k", "lr_area", "params", "tokens", "days since 2000", "sampling_error",
])  # fmt: skip
ODD_NAMES = st.integers() | st.tuples(st.text(max_size=2), st.integers()) | st.none()
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
ATTRS = st.dictionaries(
    st.sampled_from(["units", "_FillValue", "coordinates", "scale_factor", "note", "Größe", "CLASS", "a b"]) | UNICODE,
    st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(ANY_TEXT, inner, max_size=2), max_leaves=4)
    | st.sampled_from([np.float64(0.1), np.arange(3), {1, 2}, datetime.date(2020, 1, 1), b"\xff", object(), np.array(["a"])]),
    max_size=3,
)  # fmt: skip


@st.composite
def tables(draw) -> pd.DataFrame:
    size = draw(st.integers(2, 5))
    table = rows(size)
    for name in draw(st.lists(NAMES | ODD_NAMES, max_size=4, unique=True)):
        cells, dtype = draw(KINDS)
        column = pd.Series(draw(st.lists(cells, min_size=size, max_size=size)), dtype=object)
        if dtype == "datetime64[ns]" and draw(st.booleans()):
            column = pd.to_datetime(column).dt.tz_localize("UTC").dt.tz_convert(draw(ZONES))
        elif dtype == "period[D]":
            column = pd.to_datetime(column).dt.to_period("D")
        elif dtype is not object:
            column = column.astype(dtype)
        if name not in table:
            table[name] = column.set_axis(table.index)
    if draw(st.booleans()):
        table.index = pd.MultiIndex.from_tuples([("a", 1)] * size, names=["x", "level"])
    return table


@settings(
    max_examples=200, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(table=tables(), attrs=ATTRS, of_x=ATTRS)
def test_any_table_that_is_read_comes_back(tmp_path, table, attrs, of_x):
    try:
        data = bl.read_table(table, LINE)
    except bl.InputError:
        reject()
    data = data.assign_attrs(attrs)
    data["x"].attrs |= of_x
    assert_comes_back(fitted(data), tmp_path / "fit.nc")


# ---- what becomes of labels

MIDNIGHTS = pd.to_datetime(["2026-01-02", None])
LABELS = [
    ("object", pd.Series(["a", None], dtype=object), ["a", MISSING]),
    ("every nothing", pd.Series([None, np.nan, pd.NA, pd.NaT, decimal.Decimal("nan")], dtype=object), [MISSING] * 5),
    ("words for nothing", pd.Series(["nan", "None", "<NA>", "NaT", ""], dtype=object), ["nan", "None", "<NA>", "NaT", ""]),
    ("string", pd.Series(["a", None], dtype="string"), ["a", MISSING]),
    ("category", pd.Series(["a", None], dtype="category"), ["a", MISSING]),
    ("numbers as categories", pd.Series([1, None], dtype="category"), ["1", MISSING]),
    ("date", pd.Series(MIDNIGHTS), ["2026-01-02", MISSING]),
    ("date of a zone", pd.Series(MIDNIGHTS).dt.tz_localize("UTC"), ["2026-01-02 00:00:00+00:00", MISSING]),
    ("span", pd.Series(pd.to_timedelta([1, None], "h")), ["0 days 01:00:00", MISSING]),
    ("period", pd.Series(MIDNIGHTS).dt.to_period("M"), ["2026-01", MISSING]),
    ("complex", pd.Series([1j, complex("nan")]), ["1j", MISSING]),
    ("mixed", pd.Series(["a", 1, 1.0, True, b"a", (1, "b")], dtype=object), ["a", "1", "1.0", "True", "b'a'", "(1, 'b')"]),
    ("half a pair", pd.Series(["a\ud800", "\ud83d\ude00"], dtype=object), ["a\\ud800", "\\ud83d\\ude00"]),
    ("NUL", pd.Series(["a\0", "ä\0b"], dtype=object), ["a\0", "ä\0b"]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "expected"), [case[1:] for case in LABELS], ids=[c[0] for c in LABELS])
def test_labels_are_text_and_a_missing_one_is_said(column, expected):
    table = rows(len(column)).assign(label=column)
    found = bl.read_table(table, LINE)["label"]
    assert found.dtype == object and list(found.values) == expected
    assert "label" in found.coords


@pytest.mark.parametrize(
    "dtype", ["bool", "boolean", "bool[pyarrow]", "Int8", "uint64", "float32", "Float64", "double[pyarrow]"]
)
def test_numbers_are_floats_and_a_missing_one_is_nan(dtype):
    column = pd.Series([1, None if dtype in ("boolean", "Int8", "Float64") else 0], dtype=object).astype(
        dtype
    )
    found = bl.read_table(rows(2, number=column), LINE)["number"]
    assert found.dtype == float
    np.testing.assert_array_equal(found, [1.0, np.nan if column.isna().any() else 0.0])


def test_a_missing_label_is_not_the_word_for_it():
    """Not in the labels, and not in the hash."""
    one, two = (bl.read_table(rows(2, label=pd.Series(["a", x], dtype=object)), LINE) for x in (None, "nan"))
    assert data_hash(one) != data_hash(two)
    assert list(as_text(np.array([["a", None]], dtype=object)).flat) == ["a", MISSING]


# ---- the file


def test_a_fit_written_without_what_stands_beside_is_still_read(tmp_path):
    """As fits were written before there was anything beside."""
    fit = fitted(bl.read_table(rows(3, model=["a", "bb", "größe"], flag=[True, False, True]), LINE))
    tree = fit.tree.copy()
    tree.attrs["content_hash"] = content_hash(tree)
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    again = bl.load_fit(tmp_path / "fit.nc")
    assert_same(again.data, fit.data)
    assert_comes_back(again, tmp_path / "again.nc")


def test_any_other_program_reads_plain_columns(tmp_path):
    fit = fitted(bl.read_table(rows(2, model=["größe", "b"], odd=["a\0", "b"]), LINE))
    with xr.open_datatree(fit.save(tmp_path / "fit.nc"), engine="h5netcdf") as tree:
        found = tree["constant_data"].to_dataset()
        assert list(found["model"].values) == ["größe", "b"] and "model" in found.coords
        assert "odd" not in found.variables
        assert tree.attrs["method"] == "map" and tree["observed_data"]["y"].attrs["units"] == "1"


def test_one_long_label_does_not_widen_the_others(tmp_path):
    """xarray would read 2,000 labels, one of them of a million characters, as 8 GB."""
    data = bl.read_table(rows(2000, prompt=["a"] * 1999 + ["b" * 1_000_000]), LINE)
    assert "prompt" not in storable(data).variables
    assert_comes_back(fitted(data), tmp_path / "fit.nc")


def test_a_study_comes_back_too(tmp_path):
    labels = np.array(["a\0b", None, "größe"], dtype=object)
    study = xr.Dataset(
        {"found": ("window", [1.0, np.nan, -0.0], {"units": "1"}), "failed": ("window", [True, False, True])},
        {
            "window": ("window", labels),
            "a b": ("window", ["x", "y", "z"]),
            "method": ["point"],
            "level": [0.9],
        },
        {"along": "\ud800", "prob": 0.9, "leave_out": 1, "target": None},
    )
    again = read_study(write_study(study, tmp_path / "study.nc", lambda: ""), "backtest")
    expected = study.assign_coords({"window": ["a\0b", MISSING, "größe"]})
    xr.testing.assert_identical(again, expected)
    assert {name: type(value) for name, value in again.attrs.items()} == {
        n: type(v) for n, v in study.attrs.items()
    }


# ---- names


def test_what_no_dataset_can_call_a_column_is_left_out_or_refused():
    data = bl.read_table(rows(2).assign(**{"a/b": 1.0, "obs": "x", "fine": 2.0}), LINE)
    assert set(data.variables) == {"obs", "x", "y", "fine", "sampling_error"}
    slashed = parse_toml(LAW.replace('column = "x"', 'column = "a/b"'), "slashed")
    with pytest.raises(bl.InputError, match="no column can be called 'a/b', allowed: any text without '/'"):
        bl.read_table(rows(2).assign(**{"a/b": 1.0}), slashed)


def test_names_of_several_levels_are_refused():
    table = rows(2)
    table.columns = pd.MultiIndex.from_product([table.columns, ["a"]])
    with pytest.raises(bl.InputError, match="several levels, allowed: one name a column"):
        bl.read_table(table, LINE)


def test_another_fits_weights_are_left_out():
    data = bl.read_table(rows(2, shared_by=[1.0, 100.0], outlying=["far", None]), LINE)
    assert not {"shared_by", "outlying"} & set(data.variables)
