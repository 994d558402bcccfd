"""Traps of tables: what would be a wrong answer without a word is refused, or named in the checks."""

from __future__ import annotations

import bz2
import datetime
import decimal
import gzip
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from conftest import shared

import bayeslaw as bl
from bayeslaw.check import from_json
from bayeslaw.cli import main
from bayeslaw.errors import did_you_mean
from bayeslaw.filters import keep
from bayeslaw.frames import load_frame
from bayeslaw.repeats import near_steps

COMPUTE, CHINCHILLA, ANNEALING, GOLD, POWER = (
    bl.load_model(n) for n in ("compute", "chinchilla", "annealing", "gold-likelihood", "power")
)
TEXT = "cosine(peak=3e-4, end=3e-5, warmup=10, total=100)"


def runs(**columns) -> pd.DataFrame:
    frame = {
        "model": list("abc"),
        "params": [1e8, 2e8, 4e8],
        "tokens": [1e9, 3e9, 5e9],
        "loss": [4.0, 3.5, 3.1],
    }
    return pd.DataFrame({**frame, **columns})


def counts(**columns) -> pd.DataFrame:
    frame = {
        "model": np.repeat(list("abc"), 2), "problem": ["p", "q"] * 3, "n": 10, "c": [1, 2, 3, 4, 5, 6],
        "compute": np.repeat([1e18, 1e19, 1e20], 2),
    }  # fmt: skip
    return pd.DataFrame({**frame, **columns})


def curve(run: str = "r", **columns) -> pd.DataFrame:
    steps = [5, 10, 50, 100]
    return pd.DataFrame({"run": run, "step": steps, "loss": [5.0, 4.0, 3.5, 3.2], **columns})


def row_of(**columns) -> pd.DataFrame:
    """A table of points, without names."""
    return pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [3.0, 2.5, 2.2], **columns})


def checks_of(data) -> dict:
    return {check.name: check for check in from_json(data.attrs["checks"])}


# ---- conditions

VALUES = pd.DataFrame({
    "size": ["70", "410", "1e3", None],
    "mixed": ["70", "410.0", "big", "1000"],
    "version": ["1.1", "1.10", "2.0-rc", "1.2"],
    "flag": [True, False, True, False],
    "told": ["true", "False", None, "TRUE"],
    "maybe": pd.array([True, None, False, True], dtype="boolean"),
    "whole": pd.array([1, None, 3, 2**53 + 1], dtype="Int64"),
    "level": pd.Categorical([1, 2, 3, 1]),
    "kind": pd.Categorical(["a", "b", None, "a"]),
    "day": ["2024-01-31", "2023-05-01", "2024-02-01", "2022-12-31"],
    "moment": pd.to_datetime(["2024-01-31", "2023-05-01", None, "2022-12-31"]),
    "zoned": pd.to_datetime(["2024-01-31", "2023-05-01", None, "2022-12-31"], utc=True),
    "date": [datetime.date(2024, 1, 31), datetime.date(2023, 5, 1), None, datetime.date(2022, 12, 31)],
    "object": np.array([1, 2.5, None, decimal.Decimal("4")], dtype=object),
    "gap": [1.0, np.nan, 3.0, 4.0],
    "name": [" a", "b", None, "c"],
})  # fmt: skip


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("size>=410", [1, 2]),
        ("size<1000", [0, 1]),
        ("size=410.0", [1]),
        ("size=1000", [2]),
        ("size!=4.1e2", [0, 2, 3]),
        (["mixed!=big", "mixed>=410"], [1, 3]),
        ("mixed!=410", [0, 2, 3]),
        ("version=1.1|1.10", [0, 1]),
        ("version=1.2", [3]),
        ("flag=False", [1, 3]),
        ("flag=0", [1, 3]),
        ("flag=true", [0, 2]),
        ("flag!=TRUE", [1, 3]),
        ("flag>0", [0, 2]),
        ("told=true", [0, 3]),
        ("told=0", [1]),
        ("told!=true", [1, 2]),
        ("maybe=true", [0, 3]),
        ("maybe=", [1]),
        ("whole>1", [2, 3]),
        ("whole=9007199254740993", [3]),
        ("whole!=1", [1, 2, 3]),
        ("level>=2", [1, 2]),
        ("level=1.0", [0, 3]),
        ("kind=a", [0, 3]),
        ("kind!=a", [1, 2]),
        ("day>=2024-01-31", [0, 2]),
        ("day=2023-05-01", [1]),
        ("moment<2024", [1, 3]),
        ("moment=2023-05-01", [1]),
        ("zoned>2023-05-01", [0]),
        ("date<=2023-05-01", [1, 3]),
        ("date=2023-05-01", [1]),
        ("object>2", [1, 3]),
        ("object=4", [3]),
        ("gap>=2", [2, 3]),
        ("gap!=1", [1, 2, 3]),
        ("name=a", [0]),
        ("name!=a|b", [2, 3]),
        ("row>=3", [2, 3]),
    ],
)
def test_conditions_compare_what_a_column_holds(where, left):
    assert keep(VALUES, where).index.tolist() == left


REFUSED_CONDITIONS = [
    ("mixed>=410", [">= needs numbers", "row 3 of column 'mixed' holds none", "found big"]),
    ("name>b", ["> needs numbers", "rows 1, 2, 4 of column 'name' hold none", "found  a"]),
    ("version>1", ["row 3", "2.0-rc"]),
    ("version=1.1", ["also holds '1.10'", "the same number written otherwise", "1.1|1.10"]),
    ("kind<2", ["rows 1, 2, 4", "found a"]),
    ("flag=maybe", ["true and false", "'maybe'"]),
    ("told=yes", ["true and false", "'yes'"]),
    ("moment>big", ["dates", "'big'", "2024-01-31"]),
    ("day>5x", ["dates", "'5x'"]),
    ("whole=nan", ["a missing value is not called nan", "write whole="]),
    ("name!=None", ["a missing value is not called None", "name!="]),
    ("gap=>2", ["write >=, not =>"]),
    ("gap>nan", ["the column holds numbers", "'nan'"]),
    ("gap>=", ["a value must stand behind >="]),
    (5, ["where: found 5", "'column=value'"]),
    ({"gap": 1}, ["where: found {'gap': 1}"]),
]


@pytest.mark.parametrize(
    ("where", "fragments"), REFUSED_CONDITIONS, ids=[str(r[0]) for r in REFUSED_CONDITIONS]
)
def test_a_condition_that_compares_nothing_is_refused(where, fragments):
    refuses(lambda: keep(VALUES, where), fragments)


def refuses(call, fragments):
    """Hold a call to one InputError, of one line, with these pieces in its message."""
    with pytest.raises(bl.InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message.strip()
    for fragment in fragments:
        assert fragment in message, message


# ---- malformed tables

WIDE = pd.DataFrame({f"loss_{i}": [1.0, 2.0] for i in range(140)})
GOLD_LONG = pd.DataFrame(
    {"model": np.repeat(list("abc"), 2), "problem": ["p", "q"] * 3, "gold_nll": [9.0, 8, 7, 6, 5, 4]}
)


def reads(frame, spec=CHINCHILLA, **options):
    return lambda: bl.read_table(frame, spec, **options)


def curves(frame, schedules=None, **options):
    return lambda: bl.read_curves(frame, ANNEALING, schedules, **options)


TABLES = [
    ("a copy", reads(pd.concat([row_of(), row_of().iloc[1:]]), POWER), ["rows 2, 4 are the same in every column", "1 more such set)", "row!=4|5", "rename={'yours': 'run'}"]),
    ("a copy beside a counter", reads(pd.concat([row_of(), row_of().iloc[:1]], ignore_index=True).reset_index(), POWER), ["rows 1, 4"]),
    ("a copy of a named row", reads(pd.concat([runs(), runs().iloc[:1]])), ["rows 1, 4 are the same in every column"]),
    ("a copy among counts", reads(pd.concat([counts(), counts().iloc[:1]]), bl.change(COMPUTE, likelihood={"family": "Binomial"})), ["rows 1, 7 have the same key", "model = a", "problem = p"]),
    ("copies of missing values", reads(row_of(x=[1.0] * 3, y=2.0, note=None), POWER), ["rows 1, 2, 3"]),
    ("a key with gaps twice", reads(runs(model=[None, None, "c"], params=1e8, tokens=1e9)), ["rows 1, 2", "model = (missing)"]),
    ("conflict", reads(runs(), join=pd.DataFrame({"model": list("abc"), "params": [1e8, 3e8, 4e8]})), ["column 'params' stands in both tables", "model 'b'", "200000000.0", "300000000.0"]),
    ("conflict of texts", reads(runs(family="x"), join=pd.DataFrame({"model": list("abc"), "family": ["x", "y", "y"]})), ["'family'", "model 'b' (and for 1 more)", "has x", "one y"]),
    ("conflict with problems", reads(counts(), GOLD, join=GOLD_LONG.assign(compute=1e18)), ["'compute'", "model 'b'", "1e+19", "1e+18"]),
    ("on without join", reads(runs(), on="model"), ["on: found 'model'", "nothing is joined", "--join"]),
    ("gold without join", reads(counts(), gold="mean-log-likelihood"), ["gold: found 'mean-log-likelihood'", "nothing is joined"]),
    ("gold without problems", reads(runs(), join=pd.DataFrame({"model": list("abc")}), gold="mean-log-likelihood"), ["no columns problem and gold_nll"]),
    ("no key in the first", reads(runs(model=["a", None, "c"]), join=pd.DataFrame({"model": list("abc"), "z": 1})), ["table: column 'model', row 2", "no missing values", "--where"]),
    ("no key in the second", reads(runs(), join=pd.DataFrame({"model": ["a", None, "c"], "z": 1})), ["joined table: column 'model', row 2", "take the row out"]),
    ("a gap in what is joined", reads(runs().drop(columns="tokens"), join=pd.DataFrame({"model": list("abc"), "tokens": [1e9, None, 2e9]})), ["joined table: column 'tokens' has no value for model 'b'"]),
    ("numbers as texts", reads(runs(params=["1e8", "2e8", "4e8"])), ["column 'params', rows 1, 2, 3", "text that only looks like", "pandas.to_numeric(table['params'])"]),
    ("numbers and texts", reads(runs(params=np.array([1e8, "2e8", 4e8], dtype=object))), ["row 2", "found 2e8", "type object"]),
    ("thousands separators", reads(runs(params=["1,000", "2,000", "4,000"])), ["found 1,000", "without thousands separators"]),
    ("thousands spaces", reads(runs(params=["1 000", "2 000", "4 000"])), ["found 1 000", "without thousands separators"]),
    ("thousands points", reads(runs(params=["1.000,5", "2.000,5", "3.000,5"])), ["without thousands separators and with a decimal point"]),
    ("decimal commas", reads(runs(loss=["3,5", "3,2", "3,1"])), ["found 3,5", "with a decimal point, not a comma"]),
    ("suffixes", reads(runs(params=["70M", "1B", "2B"])), ["found 70M", "70e6 for 70M"]),
    ("percents", reads(counts().assign(pass_at_k="12 %").drop(columns=["n", "c"]), COMPUTE), ["found 12 %", ".12 for 12 %"]),
    ("objects that are none", reads(runs(params=np.array([True, 2e8, 4e8], dtype=object))), ["row 1", "found True", "numbers"]),
    ("a gap in counts' compute", reads(counts(compute=[1e18, 1e18, None, 1e19, 1e20, 1e20]), COMPUTE), ["table of counts: column 'compute', row 3", "nan", "no missing values"]),
    ("a gap behind counts' compute", reads(counts(params=1e8, tokens=[1e9, 1e9, None, 1e9, 1e9, 1e9]).drop(columns="compute"), COMPUTE), ["column 'tokens', row 3"]),
    ("a gap in counts' names", reads(counts(model=["a", "a", "b", None, "c", "c"]), bl.change(COMPUTE, likelihood={"family": "Binomial"})), ["column 'model', row 4"]),
    ("a gap behind compute", reads(runs(tokens=[1e9, None, 1e9]), POWER, rename={"compute": "x", "loss": "y"}), ["column 'tokens', row 2"]),
    ("texts behind compute", reads(runs(tokens=["1B", "2B", "3B"]), where="compute>1e18"), ["column 'tokens', rows 1, 2, 3", "1B", "70e6 for 70M"]),
    ("140 columns", reads(WIDE), ["no column 'loss'", "The table has loss_", " and 135 more."]),
    ("140 columns in where", reads(WIDE, where="los_3=1"), ["did you mean 'loss_3'?", "The table has", " and 135 more."]),
    ("no header", reads(pd.DataFrame([[1e8, 1e9, 3.0]])), ["no column 'loss'", "Columns are called 0, 1, 2", "line of names missing"]),
    ("no table", reads([1, 2]), ["table: found [1, 2]", "pandas.DataFrame"]),
    ("names of two levels", reads(pd.concat({"a": runs()}, axis=1)), ["several levels", "table.columns ="]),
    ("no second table", reads(runs(), join={"model": ["a"]}), ["joined table: found {'model': ['a']}"]),
    ("rename to a number", reads(runs(), rename={"params": 3}), ["rename: found {'params': 3}"]),
    ("rename a list", reads(runs(), rename=["params"]), ["rename: found ['params']"]),
    ("rename compute without tokens", reads(runs().drop(columns="tokens"), POWER, rename={"compute": "x", "loss": "y"}), ["rename: no column 'compute'", "from params and tokens"]),
    ("rename pass@k without counts", reads(runs(), POWER, rename={"pass_at_k": "y"}), ["rename: no column 'pass_at_k'"]),
    ("no schedules", curves(curve()), ["model 'annealing' needs schedules", "--schedule"]),
    ("no schedules but rates", curves(curve(lr=3e-4)), ["needs schedules", "column lr", "schedules='logged(warmup=2160)'", '--schedule "logged(warmup=2160)"']),
    ("one schedule but rates", curves(pd.concat([curve("r", lr=3e-4), curve("s", lr=3e-4)]), {"r": TEXT}), ["none for run(s) s", "column lr"]),
    ("a schedule's law read as a table", reads(curve(), ANNEALING), ["no column 'lr_area'", "read_curves"]),
    ("schedules of other runs", curves(curve(), {"s": TEXT, "t": TEXT}), ["no run 's'", "The table has r."]),
    ("a schedule misspelt", curves(pd.concat([curve("one"), curve("two").assign(loss=1.0)]), {"one": TEXT, "tow": TEXT}), ["none for run(s) two (did you mean 'tow'?"]),
    ("schedules a number", curves(curve(), 5), ["schedules: found 5"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "fragments"), [t[1:] for t in TABLES], ids=[t[0] for t in TABLES])
def test_a_trap_is_refused(call, fragments):
    refuses(call, fragments)


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


CSV = runs().to_csv(index=False)
NO_CSV = "cannot be read as CSV"
FILES = [
    ("semicolons.csv", CSV.replace(",", ";").encode(), [NO_CSV, "semicolons separate its columns", "sep=';')"]),
    ("german.csv", CSV.replace(",", ";").replace(".", ",").encode(), ["semicolons", "sep=';', decimal=','", "decimal points"]),
    ("tabs.tsv", CSV.replace(",", "\t").encode(), [NO_CSV, "tabs separate its columns", r"sep='\t')"]),
    ("bars.csv", CSV.replace(",", "|").encode(), ["vertical bars separate"]),
    ("spaces.csv", CSV.replace(",", "  ").encode(), ["spaces separate"]),
    ("latin.csv", CSV.replace("b,", "é,").encode("latin-1"), [NO_CSV, "line 3", "0xe9", "not UTF-8", "Latin-1"]),
    ("bare16.csv", CSV.encode("utf-16-le"), [NO_CSV, "zero bytes", "UTF-16"]),
    ("twice.csv", b"x,x,y\n1,2,3\n", ["twice.csv", "two columns are called 'x'"]),
    ("nameless.csv", b"1e8,1e9,3.5\n2e8,1e9,3.2\n", [NO_CSV, "first line holds values (1e8, 1e9, 3.5)", "header is missing"]),
    ("long.csv", b"x,y\n1,5,2,5\n2,5,3,5\n", [NO_CSV, "more values than the header has names", "1,5"]),
    ("first-long.csv", b"x,y\n1,2,3\n1,2\n", ["more values than the header has names"]),
    ("runs.xlsx", zipped("xl/workbook.xml"), [NO_CSV, "spreadsheet", "pandas.read_excel"]),
    ("runs.csv", zipped("runs.csv"), [NO_CSV, "zip archive", "unpack"]),
    ("runs.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", [NO_CSV, "Excel workbook"]),
    ("fit.nc", b"\x89HDF\r\n\x1a\n", [NO_CSV, "such as a fit"]),
    ("runs.json", b'[{"x": 1}]', [NO_CSV, "JSON"]),
    ("rows.jsonl", b'{"x": 1}\n{"x": 2}\n', [NO_CSV, "JSON"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "fragments"), FILES, ids=[f[0] for f in FILES])
def test_a_file_of_another_kind_is_called_by_its_name(tmp_path, name, content, fragments):
    (tmp_path / name).write_bytes(content)
    refuses(lambda: bl.read_table(tmp_path / name, CHINCHILLA), fragments)


def test_a_parquet_file_with_a_name_twice_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1.0], [2.0], [3.0]], names=["x", "x", "y"]), tmp_path / "twice.parquet")
    refuses(
        lambda: bl.read_table(tmp_path / "twice.parquet", POWER),
        ["twice.parquet", "two columns are called 'x'"],
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mark.csv", CSV.encode("utf-8-sig")),
        ("quoted.csv", CSV.replace("model", '"model"').encode("utf-8-sig")),
        ("wide.csv", CSV.encode("utf-16")),
        ("runs.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("runs.csv", gzip.compress(CSV.encode(), mtime=0)),
        ("runs.csv.bz2", bz2.compress(CSV.encode())),
        ("ends.csv", CSV.replace("\n", "\r\n").encode()),
        ("trailing.csv", ("\n".join(line + "," * (i > 0) for i, line in enumerate(CSV.splitlines())) + "\n").encode()),
    ],
)  # fmt: skip
def test_a_table_is_read_however_it_was_saved(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    pd.testing.assert_frame_equal(load_frame(tmp_path / name), load_frame(io_of(tmp_path, CSV)))


def io_of(folder, text):
    (folder / "plain.csv").write_text(text)
    return folder / "plain.csv"


@pytest.mark.parametrize("name", ["runs.PARQUET", "runs.pq", "runs.Parquet", "runs.csv"])
def test_parquet_is_known_by_any_suffix(tmp_path, name):
    runs().to_parquet(tmp_path / name)
    pd.testing.assert_frame_equal(load_frame(tmp_path / name), runs())


def test_names_in_an_index_are_a_column():
    data = bl.read_table(runs().set_index("model"), CHINCHILLA)
    assert data["model"].values.tolist() == list("abc")


@pytest.mark.parametrize("values", [[1e8, 2e8, 4e8], [10**8, decimal.Decimal(2 * 10**8), 4e8]])
def test_objects_that_are_numbers_are_numbers(values):
    data = bl.read_table(runs(params=np.array(values, dtype=object)), CHINCHILLA)
    assert data["params"].values.tolist() == [1e8, 2e8, 4e8]


def test_columns_of_lists_and_complex_numbers_are_labels():
    data = bl.read_table(runs(parts=[[1], [2], [2]], root=[1 + 1j, 2, 3]), CHINCHILLA, where="parts=[2]")
    assert data["parts"].values.tolist() == ["[2]", "[2]"]
    assert data["root"].values.tolist() == ["(2+0j)", "(3+0j)"]


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ([(1, 2), "a", None], ["(1, 2)", "a", "(missing)"]),
        ([range(2), frozenset([1]), 3], ["range(0, 2)", "frozenset({1})", "3"]),
        (pd.Series([[1], [2], [2]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))), ["[1]", "[2]", "[2]"]),
        (np.array([1, 2, 3], dtype=np.longdouble), [1.0, 2.0, 3.0]),
    ],
    ids=["tuples", "ranges", "arrow lists", "long doubles"],
)
def test_columns_that_pandas_cannot_count_are_read(column, read):
    assert bl.read_table(runs(extra=column), CHINCHILLA)["extra"].values.tolist() == read


def test_a_list_of_names_is_cut_only_where_it_is_long():
    assert did_you_mean("b", "abc") == "; did you mean 'b'? Allowed: a, b, c."
    assert did_you_mean("FLOPS", ["flops"], "The table has") == "; did you mean 'flops'? The table has flops."
    assert did_you_mean("x", [f"name{i}" for i in range(30)]).count("name") == 30
    assert did_you_mean("x", []) == ". Allowed: (nothing)."


def test_a_law_that_foretells_its_own_input_is_refused(tmp_path):
    for name, old, new in (
        ("power", 'column = "x"', 'column = "y"'),
        ("compute", 'column = "compute"', 'column = "pass_at_k"'),
        ("annealing", 'over = ["step"]', 'over = ["loss"]'),
    ):
        text = " ".join(bl.load_model(name).to_toml().split(" "))
        text = text.replace('over = [\n    "step",\n]', 'over = ["step"]')
        assert old in text
        (tmp_path / "mine.toml").write_text(text.replace(old, new))
        refuses(lambda: bl.load_model(tmp_path / "mine.toml"), ["is what the law predicts", "another column"])
    refuses(
        lambda: bl.change(CHINCHILLA, pool={"level": "loss"}), ["[parameters] level pool", "'loss' is what"]
    )


@pytest.mark.parametrize("old", ['column = "x"', 'name = "y"'])
def test_a_law_of_columns_of_names_is_refused(old, tmp_path):
    text = bl.load_model("power").to_toml()
    (tmp_path / "mine.toml").write_text(text.replace(old, old.split(" = ")[0] + ' = "run"'))
    refuses(lambda: bl.load_model(tmp_path / "mine.toml"), ["the column 'run' holds names", "takes numbers"])


@pytest.mark.parametrize(
    ("model", "frame", "options", "fragments"),
    [
        ("compute", counts(), ["--on", "model"], ["on: found 'model'", "--join"]),
        ("compute", counts(), ["--gold", "mean-probability"], ["gold: found", "--join"]),
        (
            "annealing",
            curve(),
            ["--schedule", TEXT, "--on", "run"],
            ["--on does not apply to model 'annealing'"],
        ),
        ("annealing", curve(lr=3e-4), [], ["needs schedules", '--schedule "logged(warmup=2160)"']),
        ("chinchilla", runs(), ["--where", "model>b"], ["needs numbers", "rows 1, 2, 3"]),
        ("power", runs(), ["--rename", "compute=x", "--where", "compute>1e30"], ["no row is left"]),
    ],
)
def test_the_command_line_says_the_same(model, frame, options, fragments, tmp_path):
    frame.to_csv(tmp_path / "t.csv", index=False)
    done = CliRunner().invoke(
        main, ["fit", model, str(tmp_path / "t.csv"), "-o", str(tmp_path / "f.nc"), *options]
    )
    assert done.exit_code == 2
    for fragment in fragments:
        assert fragment in done.output


def test_help_names_logged_rates():
    assert "logged(warmup=2160)" in " ".join(CliRunner().invoke(main, ["fit", "--help"]).output.split())


# ---- what is named in the checks

JITTER = [1e18, 1e18, 1e19, 1e19 * (1 + 1e-9), 1e20, 1e20]
NEAR = [
    ("counts", reads(counts(compute=JITTER), COMPUTE), ["model 'b'", "compute is 1e+19 and 1.0000000010000001e+19 in rows 3, 4", "count as 2 observations"]),
    ("params", reads(runs(model=["a", "b", "b"], params=[1e8, 2e8, 2e8 + 1], tokens=3e9)), ["model 'b'", "params is 200000000.0 and 200000001.0 in rows 2, 3"]),
    ("tokens", reads(runs(model=["a", "b", "b"], params=2e8, tokens=[1e9, 3e9, 3e9 + 1])), ["tokens is 3000000000.0 and"]),
    ("an input", reads(row_of(x=[1.0, 2.0, 2.0 + 1e-9], model=["a", "b", "b"]), POWER), ["model 'b'", "x is 2.0"]),
    ("no names", reads(row_of(x=[1.0, 2.0, 2.0 + 1e-9], y=[3.0, 2.5, 2.5]), POWER), ["an observation stands", "x is 2.0", "rows 2, 3"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "fragments"), [n[1:] for n in NEAR], ids=[n[0] for n in NEAR])
def test_one_observation_under_two_numbers_is_named(call, fragments):
    check = checks_of(call())["nearly-equal"]
    assert (check.level, check.value) == ("warn", 1.0)
    for fragment in fragments:
        assert fragment in check.message, check.message


@pytest.mark.parametrize(
    "call",
    [
        reads(row_of(x=[1.0, 2.0, 2.0], y=[3.0, 2.5, 2.4]), POWER),
        reads(row_of(x=[1.0, 2.0, 2.0 + 1e-9], y=[3.0, 2.5, 2.4]), POWER),
        reads(row_of(x=[2.0, 2.0, 2.0], y=[2.5, 2.5, 2.5], run=[1, 2, 3]), POWER),
        reads(row_of(x=2.0, y=2.5, seed=[1, 2, 3]), POWER),
        reads(runs(model="a", params=1e8, tokens=1e9, seed=[20240101, 20240102, 20240103])),
        reads(runs(model="a", params=1e8, step=[5_000_000, 5_000_001, 5_000_002], tokens=[1e9, 2e9, 3e9])),
        lambda: bl.read_table(shared("chinchilla/runs.csv"), CHINCHILLA),
    ],
)  # fmt: skip
def test_honest_repeats_and_neighbours_are_left_alone(call):
    assert checks_of(call()) == {}


def test_steps_that_lie_far_closer_than_a_run_s_others_are_named():
    million = 10**6
    frame = pd.DataFrame({"run": "r", "step": [million, 2 * million, 2 * million + 1, 3 * million]})
    (check,) = near_steps(frame)
    assert (check.name, check.level) == ("nearly-equal", "warn")
    assert "run 'r' was logged at step 2000000 and at 2000001 (rows 2, 3)" in check.message
    assert near_steps(frame.assign(step=million + np.arange(4))) == []
    assert near_steps(frame.iloc[:1]) == []


def test_a_run_that_stands_twice_under_two_names_is_named():
    data = bl.read_curves(pd.concat([curve("a"), curve("b")]), ANNEALING, TEXT)
    check = checks_of(data)["runs-alike"]
    assert check.level == "warn"
    assert "a and b" in check.message
    assert "run!=b" in check.message


def test_rows_that_a_condition_could_not_judge_are_named():
    data = bl.read_table(runs(size=[70.0, None, 410.0]), CHINCHILLA, where="size>=70")
    check = checks_of(data)["where-missing"]
    assert (check.level, check.value) == ("note", 1.0)
    assert "row 2" in check.message
    assert "where-missing" not in checks_of(
        bl.read_table(runs(size=[70.0, None, 410.0]), CHINCHILLA, where="size!=")
    )
    steps = bl.read_curves(curve(size=[1.0, 2.0, None, 3.0]), ANNEALING, TEXT, where="size>1")
    assert "row 3" in checks_of(steps)["where-missing"].message


def test_problems_without_a_gold_likelihood_are_counted():
    other = GOLD_LONG.drop(index=3)  # b's q
    data = bl.read_table(counts(), GOLD, join=other)
    check = checks_of(data)["gold-problems"]
    assert (check.level, check.value) == ("warn", 1.0)
    assert "1 of 2 problems" in check.message
    assert "b (1) lack some" in check.message
    np.testing.assert_allclose(data["gold_nll"], [9, 7, 5])
    more = pd.concat([GOLD_LONG, GOLD_LONG.iloc[:1].assign(problem="z")])  # nobody was asked z
    assert "gold-problems" not in checks_of(bl.read_table(counts(), GOLD, join=more))
    fewer = checks_of(bl.read_table(counts().drop(index=0), GOLD, join=GOLD_LONG))["gold-problems"]
    assert "1 of 2 problems" in fewer.message
    assert "a (1)" in fewer.message


def test_schedules_of_a_whole_project_serve_one_table():
    texts = {"r": TEXT, "s": TEXT, "t": TEXT}
    data = bl.read_curves(
        pd.concat([curve("r"), curve("s").assign(loss=2.0)]), ANNEALING, texts, where="run=r"
    )
    check = checks_of(data)["schedules-not-used"]
    assert (check.level, check.value) == ("note", 1.0)  # s stands in the table, though not in these rows
    assert check.message.endswith("t.")
    assert json.loads(data.attrs["schedules"]) == {"r": TEXT}


# ---- joins


def test_columns_that_agree_may_stand_in_both_tables():
    other = pd.DataFrame(
        {"model": list("abc"), "params": [1e8, 2e8, 4e8 * (1 + 1e-9)], "family": [None, "f", "g"]}
    )
    data = bl.read_table(runs(family=["e", "f", None]), CHINCHILLA, join=other)
    assert data["params"].values.tolist() == [1e8, 2e8, 4e8]
    assert data["family"].values.tolist() == ["e", "f", "g"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [([1, 2, 3], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], ["1", "02", "3"]), (["1", "2", "3"], [1, 2, 3]), (list("abc"), [" a", "b", "c "])],
)  # fmt: skip
def test_keys_match_however_they_are_written(ours, theirs):
    other = pd.DataFrame({"model": theirs, "tokens": [1e9, 3e9, 5e9]})
    data = bl.read_table(runs(model=ours).drop(columns="tokens"), CHINCHILLA, join=other)
    assert data["tokens"].values.tolist() == [1e9, 3e9, 5e9]
    assert "rows-not-used" not in checks_of(data)
    assert data["model"].values.tolist() == (["1", "2", "3"] if ours != list("abc") else list("abc"))


def test_what_a_table_of_problems_says_of_a_model_is_kept():
    data = bl.read_table(
        counts().drop(columns="compute"),
        COMPUTE,
        join=GOLD_LONG.assign(compute=np.repeat([1e18, 1e19, 1e20], 2)),
    )
    assert data["compute"].values.tolist() == [1e18, 1e19, 1e20]
    assert "gold_nll" in data


def test_problems_may_be_grouped_by_any_column():
    table = counts(group=np.repeat(["u", "v", "w"], 2))
    data = bl.read_table(
        table,
        GOLD,
        join=GOLD_LONG.assign(model=np.repeat(["u", "v", "w"], 2)).rename(columns={"model": "group"}),
        on="group",
    )
    assert data.sizes["obs"] == 3


def test_a_condition_may_be_on_what_is_joined():
    other = pd.DataFrame({"model": list("abc"), "family": list("xyy")})
    assert bl.read_table(runs(), CHINCHILLA, join=other, where="family=y")["model"].values.tolist() == [
        "b",
        "c",
    ]
    data = bl.read_table(counts(), GOLD, join=GOLD_LONG, where="gold_problems>=2")
    assert data.sizes["obs"] == 3


# ---- columns that follow from others are columns everywhere

AT_COMPUTE = [6 * n * d for n, d in ((1e8, 1e9), (2e8, 3e9), (4e8, 5e9))]
RENAMED = {"loss": "y", "compute": "x"}


@pytest.mark.parametrize(
    ("frame", "spec", "options", "column", "values"),
    [
        (runs(), CHINCHILLA, {"where": "compute>1e18"}, "compute", AT_COMPUTE[1:]),
        (runs(), POWER, {"rename": RENAMED}, "x", AT_COMPUTE),
        (runs(), POWER, {"rename": RENAMED}, "compute", AT_COMPUTE),
        (runs(), POWER, {"rename": RENAMED, "where": "x<4e18"}, "x", AT_COMPUTE[:2]),
        (runs(), POWER, {"rename": RENAMED, "where": ["compute<4e18", "params>1e8"]}, "x", AT_COMPUTE[1:2]),
        (runs().rename(columns={"params": "N", "tokens": "D"}), POWER, {"rename": {"N": "params", "D": "tokens", **RENAMED}}, "x", AT_COMPUTE),
        (runs(), POWER, {"rename": {"loss": "y", "tokens": "x"}, "where": "compute>1e18"}, "compute", AT_COMPUTE[1:]),
        (runs(compute=[1.0, 2.0, 3.0]), POWER, {"rename": RENAMED}, "compute", [1.0, 2.0, 3.0]),
        (runs(flops=[1.0, 2.0, 3.0]), POWER, {"rename": {"loss": "y", "flops": "compute", "compute": "x"}}, "x", [1.0, 2.0, 3.0]),
        (runs(raw=[1.0, 2.0, 3.0]), COMPUTE, {"rename": {"raw": "neg_log_pass_at_k"}}, "compute", AT_COMPUTE),
        (runs(compute=[1.0, 2.0, 3.0], y=[3.0, 2.0, 1.0]), COMPUTE, {"rename": {"compute": "raw", "y": "neg_log_pass_at_k"}}, "compute", AT_COMPUTE),
        (counts(), POWER, {"rename": {"compute": "x", "neg_log_pass_at_k": "y"}}, "y", -np.log([0.15, 0.35, 0.55])),
        (counts(), POWER, {"rename": {"compute": "x", "pass_at_k": "y"}, "k": 1}, "y", [0.15, 0.35, 0.55]),
        (counts(), POWER, {"rename": {"compute": "x", "pass_at_k": "y"}, "where": "y>0.2"}, "x", [1e19, 1e20]),
        (counts(), COMPUTE, {"where": "pass_at_k>0.2"}, "compute", [1e19, 1e20]),
        (counts(), COMPUTE, {"where": "neg_log_pass_at_k>=1"}, "compute", [1e18, 1e19]),
        (counts(params=np.repeat([1e8, 2e8, 4e8], 2), tokens=1e9).drop(columns="compute"), POWER, {"rename": {"compute": "x", "pass_at_k": "y"}}, "x", [6e17, 12e17, 24e17]),
    ],
)  # fmt: skip
def test_what_follows_is_a_column(frame, spec, options, column, values):
    np.testing.assert_allclose(bl.read_table(frame, spec, **options)[column], values)


def test_compute_follows_across_a_join_and_is_not_made_up_where_it_is_told():
    other = pd.DataFrame({"model": list("abc"), "tokens": [1e9, 3e9, 5e9]})
    half = runs().drop(columns="tokens")
    for options in ({"where": "compute>1e18"}, {"where": "x>1e18"}):
        data = bl.read_table(half, POWER, join=other, rename=RENAMED, **options)
        np.testing.assert_allclose(data["x"], AT_COMPUTE[1:])
    told = bl.read_table(runs(), CHINCHILLA, join=other.assign(compute=[7.0, 8.0, 9.0]), where="compute>7")
    assert told["compute"].values.tolist() == [8.0, 9.0]


def test_a_law_that_needs_no_compute_needs_no_tokens():
    data = bl.read_table(row_of(params=[1e8, None, 2e8], tokens=1e9), POWER)
    np.testing.assert_allclose(data["compute"], [6e17, np.nan, 12e17])
    refuses(
        lambda: bl.backtest(POWER, data, along="compute"), ["'compute' is not one", "1 of 3 rows", "row 2"]
    )


@pytest.fixture(scope="module")
def renamed_fit():
    frame = pd.DataFrame({"params": np.geomspace(1e7, 1e10, 12), "tokens": np.geomspace(1e9, 1e11, 12)})
    frame["loss"] = 1.7 + 9e3 * (6 * frame["params"] * frame["tokens"]) ** -0.2
    data = bl.read_table(frame, POWER, rename=RENAMED)
    return bl.fit(POWER, data, "map", bootstrap=8)


@pytest.mark.parametrize(
    "targets",
    [{"x": [6e22]}, {"compute": [6e22]}, {"params": [1e11], "tokens": [1e11]}],
    ids=["x", "compute", "N, D"],
)
def test_targets_go_by_either_name(renamed_fit, targets, tmp_path):
    loaded = bl.load_fit(renamed_fit.save(tmp_path / "fit.nc"))
    wanted = bl.forecast(renamed_fit, {"x": [6e22]})
    assert bl.forecast(loaded, targets).equals(wanted)


@pytest.mark.parametrize(
    ("targets", "fragments"),
    [
        ({"x": [1e24], "compute": [1e24]}, ["x and compute are one input"]),
        (
            {"compute": [1e24], "params": [1e9], "tokens": [1e12]},
            ["compute and params and tokens are one input"],
        ),
        ({"params": [1e9]}, ["unknown input 'params'"]),
        ({"params": [-1e9], "tokens": [1e12]}, ["params = -1e+09"]),
    ],
)
def test_one_input_is_given_once(renamed_fit, targets, fragments):
    refuses(lambda: bl.forecast(renamed_fit, targets), fragments)


def test_windows_grow_along_what_follows():
    frame = pd.DataFrame({"params": np.geomspace(1e7, 1e10, 12), "tokens": np.geomspace(1e9, 1e11, 12)})
    frame["loss"] = 1.7 + 9e3 * (6 * frame["params"] * frame["tokens"]) ** -0.2
    data = bl.read_table(frame, POWER, rename=RENAMED)
    bt = bl.backtest(POWER, data, methods="point", bootstrap=20)
    assert bt.attrs["along"] == "compute"
    assert bt.sizes["window"] > 3
