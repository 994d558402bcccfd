"""Traps of tables: what would be a wrong answer without a word is refused, or named in the checks."""

from __future__ import annotations

import bz2
import decimal
import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from conftest import shared
from malformed_inputs import CSV, GOLD_LONG, RENAMED, TEXT, VALUES, counts, curve, row_of, runs

import bayeslaw as bl
from bayeslaw.cli.main import main
from bayeslaw.core.check import from_json
from bayeslaw.core.errors import did_you_mean
from bayeslaw.data.filters import keep
from bayeslaw.data.loading import load_frame
from bayeslaw.data.repeats import near_steps
from bayeslaw.data.row_names import row_names

COMPUTE, CHINCHILLA, ANNEALING, GOLD, POWER = (
    bl.load_model(n) for n in ("compute", "chinchilla", "annealing", "gold-likelihood", "power")
)


def checks_of(data) -> dict:
    return {check.name: check for check in from_json(data.attrs["checks"])}


# ---- conditions


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


def refuses(call, fragments):
    """Hold a call to one InputError, of one line, with these pieces in its message."""
    with pytest.raises(bl.InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message.strip()
    for fragment in fragments:
        assert fragment in message, message


# ---- malformed tables


def reads(frame, spec=CHINCHILLA, **options):
    return lambda: bl.read_table(frame, spec, **options)


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


def test_a_law_that_predicts_its_own_input_is_refused(tmp_path):
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


def test_help_names_logged_rates():
    assert "logged(warmup=2160)" in " ".join(CliRunner().invoke(main, ["fit", "--help"]).output.split())


# ---- what is named in the checks


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


def test_windows_grow_along_what_follows():
    frame = pd.DataFrame({"params": np.geomspace(1e7, 1e10, 12), "tokens": np.geomspace(1e9, 1e11, 12)})
    frame["loss"] = 1.7 + 9e3 * (6 * frame["params"] * frame["tokens"]) ** -0.2
    data = bl.read_table(frame, POWER, rename=RENAMED)
    bt = bl.backtest(POWER, data, methods="point", bootstrap=20)
    assert bt.attrs["along"] == "compute"
    assert bt.sizes["window"] > 3


def test_rows_are_named_as_conditions_count_them():
    table = pd.DataFrame(
        {"of": ["a"] * 3 + ["b"] * 3, "x": np.geomspace(1, 32, 6), "y": np.linspace(6, 1, 6)}
    )
    data = bl.read_table(table, bl.load_model("power"), where="of=b")
    assert row_names(data, np.array([0, 2])) == ["row 4", "row 6"]
    assert row_names(data.isel(obs=[1, 2]), np.array([0])) == ["row 5"]
    rest = bl.read_table(table, bl.load_model("power"), where=["of=b", "row!=4"])
    assert row_names(rest, np.arange(2)) == ["row 5", "row 6"]


def test_what_a_law_predicts_stands_in_the_first_table():
    runs = pd.DataFrame({"name": list("abc"), "x": [1.0, 2.0, 4.0]})
    scores = pd.DataFrame({"name": list("abc"), "error": [3.0, 2.0, 1.0]})
    power, rename = bl.load_model("power"), {"error": "y"}
    with pytest.raises(bl.InputError, match="'y', which model 'power' predicts, stands in the joined table"):
        bl.read_table(runs, power, join=scores, on="name", rename=rename)
    assert bl.read_table(scores, power, join=runs, on="name", rename=rename).sizes["obs"] == 3
