"""Bad input of every kind: one InputError that says what, where and what is allowed; nothing half-written."""

from __future__ import annotations

import os
import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import noiseless

import bayeslaw as bl

COMPUTE, CHINCHILLA, ANNEALING, GOLD = (
    bl.load_model(n) for n in ("compute", "chinchilla", "annealing", "gold-likelihood")
)
CONSTANT = "constant(peak=2e-4, total=100)"


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
        "model": ["a", "a", "b", "b"], "problem": ["p", "q", "p", "q"], "n": [10, 10, 10, 10], "c": [1, 2, 3, 4],
        "compute": [1e18, 1e18, 1e19, 1e19],
    }  # fmt: skip
    return pd.DataFrame({**frame, **columns})


def fractions(**columns) -> pd.DataFrame:
    return pd.DataFrame({"compute": [1e18, 1e19], "pass_at_k": [0.1, 0.2], **columns})


def rows_of(frame, **options):
    return lambda: bl.read_table(frame, CHINCHILLA, **options)


def passes_of(frame, **options):
    return lambda: bl.read_table(frame, COMPUTE, **options)


@pytest.fixture(scope="module")
def fit():
    spec, data = noiseless("compute", noise=0.05)
    return bl.fit(spec, data, "map", bootstrap=8)


@pytest.fixture(scope="module")
def curve_fit():
    spec, data = noiseless("annealing")
    return bl.fit(spec, data, "map", bootstrap=4)


def refuses(call, fragments):
    """Hold a call to one InputError, of one line, with these pieces in its message."""
    with pytest.raises(bl.InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message.strip()
    for fragment in fragments:
        assert fragment in message
    return message


TWO = {"model": ["a", "a", "b"], "params": [1e8, 1e8, 2e8], "tokens": [1e9, 1e9, 2e9]}
TABLES = [
    ("c over n", passes_of(counts(c=[1, 11, 3, 4])), ["'c', row 2", "c = 11, n = 10", "c ≤ n"]),
    ("n zero", passes_of(counts(n=[10, 0, 10, 10], c=0)), ["'n', row 2", "found 0", "1 or more"]),
    ("n negative", passes_of(counts(n=[10, -1, 10, 10])), ["'n', row 2", "-1", "1 or more"]),
    ("n a fraction", passes_of(counts(n=[10, 9.5, 10, 10])), ["'n', row 2", "9.5", "whole numbers"]),
    ("n beyond floats", passes_of(counts(n=[10, 1e300, 10, 10])), ["'n', row 2", "1e+300", "2^53"]),
    ("c negative", passes_of(counts(c=[1, -2, 3, 4])), ["'c', row 2", "-2", "0 or more"]),
    ("c missing", passes_of(counts(c=[1, None, 3, 4])), ["'c', row 2", "nan", "no missing values"]),
    ("c infinite", passes_of(counts(c=[1, np.inf, 3, 4])), ["'c', row 2", "inf", "finite"]),
    ("c text", passes_of(counts(c=["1", "two", "3", "4"])), ["'c', row 2", "two", "numbers"]),
    ("a problem twice", passes_of(counts(problem=["p", "p", "p", "q"])), ["rows 1, 2", "model = a, ", "problem = p", "--where"]),
    ("no problem", passes_of(counts().drop(columns="problem")), ["no column 'problem'", "--rename"]),
    ("no model", passes_of(counts().drop(columns="model")), ["no column 'model'", "rename="]),
    ("no c", passes_of(counts().rename(columns={"c": "correct"})), ["no column 'pass_at_k'"]),
    ("no covariate", passes_of(counts().drop(columns="compute")), ["no column 'compute'"]),
    ("benchmarks mixed", passes_of(counts(benchmark=["A", "A", "B", "B"])), ["several benchmarks", "A|B", "where="]),
    ("no success", passes_of(counts(c=0)), ["no row has a usable neg_log_pass_at_k"]),
    ("too few samples", passes_of(counts(), k=11), ["k = 11", "fewer than 11 samples", "smaller k"]),
    ("k zero", passes_of(counts(), k=0), ["k: found 0", "whole number, 1 or more"]),
    ("k negative", passes_of(counts(), k=-3), ["k: found -3"]),
    ("k a fraction", passes_of(counts(), k=1.5), ["k: found 1.5"]),
    ("k text", passes_of(counts(), k="10"), ["k: found '10'"]),
    ("k true", passes_of(counts(), k=True), ["k: found True"]),
    ("k not there", passes_of(fractions(k=[1, 10]), k=5), ["k=5", "no row is left of 2", "1, 10"]),
    ("k without pass@k", rows_of(runs(), k=1), ["k does not apply", "'chinchilla'", "loss"]),
    ("pass@k in percent", passes_of(fractions(pass_at_k=[0.5, 12.0])), ["'pass_at_k', row 2", "12.0", "from 0 to 1", "divide percents"]),
    ("pass@k negative", passes_of(fractions(pass_at_k=[0.5, -0.1])), ["'pass_at_k', row 2", "-0.1"]),
    ("pass@k missing", passes_of(fractions(pass_at_k=[0.5, None])), ["'pass_at_k', row 2", "no missing values"]),
    ("its error negative", passes_of(fractions(sampling_error=[0.1, -0.1])), ["'sampling_error', row 2", "-0.1", "0 or more"]),
    ("its error text", passes_of(fractions(sampling_error=["a", "b"])), ["'sampling_error', rows 1, 2", "numbers"]),
    ("its error missing", passes_of(fractions(sampling_error=[0.1, None])), ["'sampling_error', row 2"]),
    ("−log negative", passes_of(fractions().drop(columns="pass_at_k").assign(neg_log_pass_at_k=[1.0, -1.0])), ["'neg_log_pass_at_k', row 2", "-1.0"]),
    ("covariate negative", rows_of(runs(params=[1e8, -2e8, 4e8])), ["'params', row 2", "-200000000.0", "greater than 0"]),
    ("covariate zero", rows_of(runs(tokens=[0, 1, 2])), ["'tokens', row 1", "found 0", "greater than 0"]),
    ("covariate infinite", rows_of(runs(tokens=[1, np.inf, 2])), ["'tokens', row 2", "inf", "finite"]),
    ("covariate missing", rows_of(runs(tokens=[1, np.nan, 2])), ["'tokens', row 2", "nan", "no missing values"]),
    ("covariate text", rows_of(runs(params=["70M", "1B", "2B"])), ["'params', rows 1, 2, 3", "70M", "numbers"]),
    ("covariate a date", rows_of(runs(params=pd.Timestamp("2024-01-01"))), ["'params'", "numbers"]),
    ("covariate complex", rows_of(runs(params=[1 + 1j, 2, 3])), ["'params'", "numbers"]),
    ("gold nll negative", lambda: bl.read_table(counts(gold_nll=-1.0), GOLD), ["'gold_nll'", "-1.0", "0 or more"]),
    ("loss zero", rows_of(runs(loss=[4, 0, 3])), ["'loss', row 2", "greater than 0"]),
    ("many bad rows", rows_of(pd.concat([runs(loss=-1.0)] * 3)), ["rows 1, 2, 3 and 6 more"]),
    ("a model twice", rows_of(runs(**TWO)), ["rows 1, 2", "model = a", "each key stands once"]),
    ("a column twice", rows_of(pd.concat([runs(), runs()[["loss"]]], axis=1)), ["two columns are called 'loss'"]),
    ("no rows", rows_of(runs().iloc[:0]), ["no rows"]),
    ("no columns", rows_of(pd.DataFrame()), ["no column 'loss'"]),
    ("a misspelt column", rows_of(runs().rename(columns={"params": "parms"})), ["no column 'params'", "did you mean 'parms'", "--rename"]),
    ("rename of nothing", rows_of(runs(), rename={"N": "params"}), ["rename: no column 'N'", "loss, model"]),
    ("rename onto another", rows_of(runs(), rename={"params": "x", "tokens": "x"}), ["two columns are called 'x'"]),
    ("where without sign", rows_of(runs(), where="params"), ["where: 'params' is no condition", "column=value"]),
    ("where empty", rows_of(runs(), where=[""]), ["where: ''"]),
    ("where without value", rows_of(runs(), where="params<"), ["'params<'", "a value must stand behind <"]),
    ("where on no column", rows_of(runs(), where="parms=1"), ["no column 'parms'", "did you mean 'params'"]),
    ("where text on numbers", rows_of(runs(), where="params=big"), ["the column holds numbers", "'big'"]),
    ("where with or", rows_of(runs(), where="params<1|2"), ["'|' goes with = and != only"]),
    ("where leaves none", rows_of(runs(), where="model=z"), ["no row is left of 3", "a, b, c"]),
    ("unknown gold", rows_of(runs(), gold="mean"), ["gold: found 'mean'", "mean-probability"]),
    ("join on nothing", rows_of(runs(), join=runs(), on="name"), ["no column 'name' to join on"]),
    ("join without partner", rows_of(runs(), join=pd.DataFrame({"model": ["z"], "x": [1]})), ["no value of 'model' stands in both", "'a'"]),
    ("join with nothing", rows_of(runs(), join=pd.DataFrame({"model": [], "x": []})), ["joined table: it has no rows"]),
    ("join on what is averaged", passes_of(counts(), join=pd.DataFrame({"problem": ["p"], "x": [1]}), on="problem"), ["no 'problem'", "counts are taken together over it", "table.merge"]),
    ("join twice", rows_of(runs(), join=pd.DataFrame({"model": ["a", "a"], "x": [1, 2]})), ["joined table", "model = a"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "fragments"), [t[1:] for t in TABLES], ids=[t[0] for t in TABLES])
def test_a_malformed_table_is_refused(call, fragments):
    refuses(call, fragments)


@pytest.mark.parametrize(
    ("name", "content", "fragments"),
    [
        ("nowhere.csv", None, ["nowhere.csv", "no such file"]),
        ("nowhere.parquet", None, ["nowhere.parquet", "no such file"]),
        ("empty.csv", b"", ["empty.csv", "cannot be read as CSV"]),
        ("binary.csv", bytes(range(256)), ["binary.csv", "cannot be read as CSV"]),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n", ["ragged.csv", "cannot be read as CSV"]),
        ("other.csv", b"hello\n", ["no column 'loss'"]),
        ("garbage.parquet", b"PAR1garbage", ["garbage.parquet", "cannot be read as Parquet"]),
        ("empty.parquet", b"", ["empty.parquet", "cannot be read as Parquet"]),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, fragments):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    refuses(lambda: bl.read_table(path, CHINCHILLA), fragments)


def test_a_folder_is_no_table(tmp_path):
    refuses(lambda: bl.read_table(tmp_path, CHINCHILLA), [str(tmp_path), "cannot be read"])


@pytest.mark.parametrize(
    ("settings", "fragments"),
    [
        ({"method": "mcmc"}, ["method: found 'mcmc'", "map, nuts"]),
        ({"method": None}, ["method: found None"]),
        ({"draws": -1}, ["draws: found -1", "4 or more"]),
        ({"draws": 1.5}, ["draws: found 1.5", "a whole number"]),
        ({"draws": True}, ["draws: found True"]),
        ({"tune": -1}, ["tune: found -1"]),
        ({"chains": 0}, ["chains: found 0", "1 or more"]),
        ({"seed": -1}, ["seed: found -1", "0 or more"]),
        ({"seed": "a"}, ["seed: found 'a'"]),
        ({"bootstrap": -1}, ["bootstrap: found -1"]),
        ({"target_accept": 1.5}, ["target_accept: found 1.5", "between 0 and 1"]),
        ({"target_accept": "high"}, ["target_accept: found 'high'"]),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused(settings, fragments):
    spec, data = noiseless("compute")
    refuses(lambda: bl.fit(spec, data, **{"method": "map", **settings}), fragments)


@pytest.mark.parametrize(
    ("edit", "fragments"),
    [
        (lambda s, d: ("compute", d), ["spec comes from load_model"]),
        (lambda s, d: (s, d.to_dataframe()), ["data from read_table"]),
        (lambda s, d: (s, d.drop_vars("neg_log_pass_at_k")), ["predicts 'neg_log_pass_at_k'", "lack"]),
        (lambda s, d: (s, d.drop_vars("compute")), ["no column 'compute'"]),
        (
            lambda s, d: (s, d.assign(neg_log_pass_at_k=-d["neg_log_pass_at_k"])),
            ["no place on the log scale"],
        ),
        (
            lambda s, d: (s, d.assign(neg_log_pass_at_k=d["neg_log_pass_at_k"] * np.nan)),
            ["no place on the log scale"],
        ),
        (lambda s, d: (s, d.isel(obs=slice(0))), ["positive values"]),
        (
            lambda s, d: (bl.change(s, fix={"level": 1, "floor": 0, "alpha": 0.1}), d),
            ["every parameter is fixed"],
        ),
    ],
)
def test_data_that_do_not_fit_the_law_are_refused(edit, fragments):
    refuses(lambda: bl.fit(*edit(*noiseless("compute")), "map", bootstrap=0), fragments)


TARGETS = [
    ({"X": [1e24]}, ["unknown input 'X'", "C, compute, params, sampling_error, tokens"]),
    ({"comput": [1e24]}, ["did you mean 'compute'"]),
    ({"C": [1e24, np.nan]}, ["'C' holds a value that is not finite"]),
    ({"C": [np.inf]}, ["not finite"]),
    ({"C": [-1e24]}, ["C = -1e+24", "greater than 0"]),
    ({"C": [0]}, ["C = 0", "greater than 0"]),
    ({"C": [1e24, 1e25], "sampling_error": [0.1] * 3}, ["'C' has 2 value(s)", "others have 3"]),
    ({"C": [[1e24]]}, ["targets: 'C': found [[1e+24]]", "a list of one or more"]),
    ({"C": [[1e24], [1e24, 1e25]]}, ["expected {'input': [numbers]}"]),
    ({"C": ["big"]}, ["expected {'input': [numbers]}", "big"]),
    ({"C": []}, ["targets: 'C': found []", "a list of one or more"]),
    ({}, ["targets: empty"]),
    ("C=1e24", ["expected {'input': [numbers]}"]),
    (None, ["forecasts at targets", "--at"]),
    ({"params": [1e9]}, ["C needs one of C or compute or params and tokens", "found nothing"]),
    ({"C": [1e24], "compute": [1e24]}, ["found C and compute"]),
    ({"C": [1e24], "params": [1e9], "tokens": [1e12]}, ["found C and params and tokens"]),
    ({"params": [-1e9], "tokens": [-1e12]}, ["params = -1e+09", "greater than 0"]),
    ({"C": [1e24], "sampling_error": [-0.1]}, ["sampling_error = -0.1", "0 or more"]),
]


@pytest.mark.parametrize(("targets", "fragments"), TARGETS, ids=[repr(t[0])[:40] for t in TARGETS])
def test_targets_that_do_not_fit_the_law_are_refused(fit, targets, fragments):
    refuses(lambda: bl.forecast(fit, targets), fragments)


def test_a_new_group_of_a_law_without_groups_is_refused(fit):
    refuses(
        lambda: bl.forecast(fit, {"C": [1e24]}, new_group=True),
        ["new_group", "pools no parameter", "--new-group"],
    )


@pytest.mark.parametrize("prob", [1.5, 1, 0, -0.1, np.nan, "0.9", None, True])
def test_a_prob_outside_0_and_1_is_refused(fit, prob):
    refuses(lambda: bl.forecast(fit, {"C": [1e24]}, prob=prob), ["prob: found", "between 0 and 1"])


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({}, ["forecasts along a schedule", "--schedule"]),
        ({"targets": {"S1": [1.0]}}, ["forecasts along a schedule"]),
        ({"schedule": "cosine(peak=1)"}, ["cosine needs end=…"]),
        ({"schedule": "logged()"}, ["no table"]),
        ({"schedule": CONSTANT, "steps": [101]}, ["steps: found [101]", "from 0 (behind warm-up) to 100"]),
        ({"schedule": CONSTANT, "steps": [-1]}, ["steps: found [-1]"]),
        ({"schedule": CONSTANT, "steps": [1.5]}, ["steps: found [1.5]", "whole numbers"]),
        ({"schedule": CONSTANT, "steps": []}, ["steps: found []"]),
    ],
)
def test_a_schedule_law_forecasts_along_a_schedule_only(curve_fit, options, fragments):
    refuses(lambda: bl.forecast(curve_fit, **options), fragments)


def test_a_law_without_a_schedule_takes_none(fit):
    refuses(lambda: bl.forecast(fit, schedule=CONSTANT), ["forecasts at targets"])


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def saved(fit, folder):
    return fit.save(folder / "fit.nc")


def edit_hdf5(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file)


def set_attr(name, value):
    def edit(file):
        file.attrs[name] = value

    return edit


def delete(name):
    def edit(file):
        del file[name]

    return edit


def shift(name):
    def edit(file):
        file[name][...] = file[name][...] + 1e-6

    return edit


ALTERED = [
    ("no format", set_attr("bayeslaw_format", 99), ["not a fit of this version"]),
    ("format a list", set_attr("bayeslaw_format", [1, 2]), ["not a fit of this version"]),
    ("spec a number", set_attr("spec", 5), ["not a fit of this version"]),
    ("spec no TOML", set_attr("spec", "law = "), ["damaged", "not valid TOML"]),
    ("spec another law", lambda f: set_attr("spec", f.attrs["spec"].replace("C**-alpha", "C**alpha"))(f), ["damaged", "altered"]),
    ("spec hostile", lambda f: set_attr("spec", f.attrs["spec"].replace("C**-alpha", "C.real"))(f), ["damaged", "'C.real' is not allowed"]),
    ("method unknown", set_attr("method", "magic"), ["unknown method 'magic'", "nuts, map"]),
    ("method another", set_attr("method", "nuts"), ["lacks posterior, sample_stats"]),
    ("settings no JSON", set_attr("settings", "{"), ["damaged"]),
    ("settings a list", set_attr("settings", "[]"), ["damaged"]),
    ("hash another", set_attr("data_hash", "0"), ["damaged", "altered"]),
    ("data gone", delete("observed_data"), ["lacks observed_data"]),
    ("bootstrap gone", delete("bootstrap"), ["lacks bootstrap"]),
    ("a parameter gone", delete("bootstrap/alpha"), ["damaged"]),
    ("a column gone", delete("constant_data/compute"), ["damaged"]),
    ("data altered", shift("observed_data/neg_log_pass_at_k"), ["damaged", "altered"]),
    ("draws altered", shift("bootstrap/alpha"), ["damaged", "altered"]),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "fragments"), [a[1:] for a in ALTERED], ids=[a[0] for a in ALTERED])
def test_an_altered_fit_is_refused(fit, tmp_path, edit, fragments):
    path = saved(fit, tmp_path)
    edit_hdf5(path, edit)
    refuses(lambda: bl.load_fit(path), ["fit.nc", *fragments])


def test_contents_that_do_not_hold_together_are_refused(fit, tmp_path):
    """Even where the hash is right: whoever wrote the file did not write a fit."""
    tree = fit.tree.copy(deep=True)
    tree["bootstrap"] = xr.DataTree(tree["bootstrap"].to_dataset().isel(chain=0, drop=True))
    path = bl.Fit(fit.spec, tree).save(tmp_path / "flat.nc")
    refuses(lambda: bl.load_fit(path), ["damaged", "the draws of", "dims ('draw',)"])
    tree = fit.tree.copy(deep=True)
    tree["constant_data"].attrs["checks"] = '[{"name": 1}]'
    path = bl.Fit(fit.spec, tree).save(tmp_path / "checks.nc")
    refuses(lambda: bl.load_fit(path), ["damaged"])


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"", ["cannot be read as a fit"]),
        (b"\x89HDF\r\n\x1a\n", ["cannot be read as a fit"]),
        (b"CDF\x01 not really", ["cannot be read as a fit"]),
        (b"a,b\n1,2\n", ["cannot be read as a fit"]),
        (None, ["no such file"]),
    ],
    ids=["empty", "HDF5 in name", "old netCDF", "CSV", "missing"],
)
def test_a_file_that_is_no_fit_is_refused(tmp_path, content, fragments, capfd):
    path = tmp_path / "garbage.nc"
    if content is not None:
        path.write_bytes(content)
    refuses(lambda: bl.load_fit(path), ["garbage.nc", *fragments])
    assert capfd.readouterr().err == ""


def test_another_programs_netcdf_is_no_fit(tmp_path):
    xr.Dataset({"x": ("t", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    refuses(lambda: bl.load_fit(tmp_path / "other.nc"), ["other.nc", "not a fit of this version", "fit.save"])
    refuses(lambda: bl.load_fit(tmp_path), ["no such file"])


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.9999])
def test_a_truncated_fit_is_refused(fit, tmp_path, share):
    path = saved(fit, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refuses(lambda: bl.load_fit(path), ["fit.nc", "cannot be read as a fit"])


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # h5netcdf's own, when it gives up
def test_corrupt_bytes_raise_nothing_but_input_errors(fit, tmp_path):
    """Whatever byte is hit: it is refused, or (padding) nothing that counts has changed."""
    path = saved(fit, tmp_path)
    content, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    used = np.flatnonzero(np.frombuffer(content[:-8], dtype=np.uint8))
    for where in rng.choice(used, size=30):
        broken = bytearray(content)
        broken[where : where + 8] = rng.integers(0, 256, 8, dtype=np.uint8).tobytes()
        path.write_bytes(broken)
        try:
            loaded = bl.load_fit(path)
        except bl.InputError:
            refused += 1
        else:
            xr.testing.assert_equal(loaded.draws, fit.draws)
            assert loaded.spec == fit.spec
    assert refused > 15


def test_hostile_files_run_no_code(fit, tmp_path):
    """Pickles under any name, formulas with calls, in a file of their own or inside a fit."""
    folder = tmp_path / "files"
    folder.mkdir()
    written = tmp_path / "written"
    command = f"touch {written}"
    for name in ("hostile.nc", "hostile.toml", "hostile.csv", "hostile.parquet"):
        (folder / name).write_bytes(pickle.dumps(Hostile(command)))
    refuses(lambda: bl.load_fit(folder / "hostile.nc"), ["cannot be read as a fit"])
    refuses(lambda: bl.load_model(folder / "hostile.toml"), ["hostile.toml"])
    refuses(lambda: bl.read_table(folder / "hostile.csv", CHINCHILLA), [])
    refuses(lambda: bl.read_table(folder / "hostile.parquet", CHINCHILLA), ["cannot be read as Parquet"])
    text = COMPUTE.to_toml()
    for old in ("E0 + C0 * C**-alpha", "level * floor", "E0 + C0 * ref_C**-alpha"):
        assert text.count(f'"{old}"') == 1
        hostile = text.replace(f'"{old}"', f"\"__import__('os').system('{command}')\"")
        (folder / "hostile.toml").write_text(hostile)
        refuses(lambda: bl.load_model(folder / "hostile.toml"), ["'hostile'", "not allowed"])
        path = saved(fit, tmp_path)
        edit_hdf5(path, set_attr("spec", hostile))
        refuses(lambda path=path: bl.load_fit(path), ["damaged", "not allowed"])
    refuses(lambda: bl.parse_schedule(f"constant(peak=__import__('os').system('{command}'), total=9)"), [])
    assert not written.exists()


@pytest.mark.parametrize("error", [OSError("disk is full"), KeyboardInterrupt()])
def test_a_save_that_fails_leaves_the_folder_as_it_was(fit, tmp_path, monkeypatch, error):
    path = saved(fit, tmp_path)
    before = path.read_bytes()

    def broken(handle):
        raise error

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(bl.InputError if isinstance(error, OSError) else KeyboardInterrupt):
        fit.save(path)
    with pytest.raises(bl.InputError if isinstance(error, OSError) else KeyboardInterrupt):
        fit.save(tmp_path / "new.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_refused(fit, tmp_path):
    refuses(lambda: fit.save(tmp_path), ["is a folder"])
    refuses(lambda: fit.save(tmp_path / "nowhere" / "fit.nc"), ["nowhere", "cannot be written"])
    (tmp_path / "file").write_text("x")
    refuses(lambda: fit.save(tmp_path / "file" / "fit.nc"), ["cannot be written"])
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_fit_without_alterations_loads(fit, tmp_path):
    """So that the refusals above are due to what was altered."""
    again = bl.load_fit(saved(fit, tmp_path))
    assert again.spec == fit.spec
    assert again.tree.attrs == fit.tree.attrs
    for name in ("point", "bootstrap", "starts", "observed_data", "constant_data"):
        xr.testing.assert_equal(again.tree[name].to_dataset(), fit.tree[name].to_dataset())


def test_data_without_sampling_errors_can_be_fitted_and_forecast():
    spec, data = noiseless("compute")
    fit = bl.fit(spec, data.drop_vars("sampling_error"), "map", bootstrap=4)
    assert np.isfinite(bl.forecast(fit, {"C": [1e24]})["upper"]).all()


@pytest.mark.parametrize("seed", ["a", -1, 1.5, True])
def test_forecast_refuses_a_seed_that_is_none(fit, seed) -> None:
    refuses(lambda: bl.forecast(fit, {"C": [1e24]}, seed=seed), ["seed", "whole number"])


def test_point_fit_without_bootstrap_has_no_interval() -> None:
    spec, data = noiseless("compute", noise=0.05)
    bare = bl.fit(spec, data, "map", bootstrap=0)
    refuses(lambda: bl.forecast(bare, {"C": [1e24]}), ["no bootstrap", "bootstrap=1000"])
