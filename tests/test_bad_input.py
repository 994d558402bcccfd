"""Bad input of every kind: one InputError that says what, where and what is allowed; nothing half-written."""

from __future__ import annotations

import os
import pickle

import h5py
import numpy as np
import pytest
import xarray as xr
from conftest import noiseless
from malformed_inputs import set_attr

import bayeslaw as bl

COMPUTE, CHINCHILLA = (bl.load_model(n) for n in ("compute", "chinchilla"))
CONSTANT = "constant(peak=2e-4, total=100)"


@pytest.fixture(scope="module")
def fit():
    spec, data = noiseless("compute", noise=0.05)
    return bl.fit(spec, data, "map", bootstrap=8)


def refuses(call, fragments):
    """Hold a call to one InputError, of one line, with these pieces in its message."""
    with pytest.raises(bl.InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message.strip()
    for fragment in fragments:
        assert fragment in message
    return message


def test_a_folder_is_no_table(tmp_path):
    refuses(lambda: bl.read_table(tmp_path, CHINCHILLA), [str(tmp_path), "cannot be read"])


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


def test_another_programs_netcdf_is_no_fit(tmp_path):
    xr.Dataset({"x": ("t", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    refuses(lambda: bl.load_fit(tmp_path / "other.nc"), ["other.nc", "not a fit of this version", "fit.save"])
    refuses(lambda: bl.load_fit(tmp_path), ["no such file"])


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


def test_point_fit_without_bootstrap_has_no_interval() -> None:
    spec, data = noiseless("compute", noise=0.05)
    bare = bl.fit(spec, data, "map", bootstrap=0)
    refuses(lambda: bl.forecast(bare, {"C": [1e24]}), ["no bootstrap", "bootstrap=1000"])
