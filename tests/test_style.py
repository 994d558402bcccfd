"""The code's form, and that a wheel carries the model files, the guide and the track record."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff(command) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_wheel_lists_the_models(tmp_path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv on the PATH to build a wheel")
    built = subprocess.run(
        [uv, "build", "--wheel", "--out-dir", tmp_path, ROOT], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "import bayeslaw; print(bayeslaw.__file__); print(*bayeslaw.models()['name'])\n"
        "from bayeslaw.cli.guide import topics; print(all(path.is_file() for path, _ in topics().values()))\n"
        "from bayeslaw.forecasts.track_record import track_record; print(len(track_record()) > 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {code}"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    where, names, pages, record = run.stdout.splitlines()
    assert pages == record == "True"
    assert where.startswith(str(site))
    assert names.split() == sorted(path.stem for path in (ROOT / "models").glob("*.toml"))
