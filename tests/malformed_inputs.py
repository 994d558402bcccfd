"""What the table of malformed input is built from: small tables, laws, files and calls that one edit makes wrong."""

from __future__ import annotations

import copy
import datetime
import decimal
import io
import os
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from click.testing import CliRunner
from conftest import noiseless

import bayeslaw as bl
from bayeslaw.cli.main import main
from bayeslaw.data.filters import keep
from bayeslaw.law.catalogue import parse_toml
from bayeslaw.law.parse import parse_spec

COMPUTE, CHINCHILLA, ANNEALING, GOLD, POWER = (
    bl.load_model(n) for n in ("compute", "chinchilla", "annealing", "gold-likelihood", "power")
)
PASSES = bl.load_model("params-tokens")
HELD = bl.change(POWER, fix={"floor": 0.0})
BINOMIAL = bl.change(COMPUTE, likelihood={"family": "Binomial"})
FAMILIES = bl.change(POWER, pool={"level": "family"})
TWO = ["benchmark", "difficulty"]

# ---- tables


def runs(**columns) -> pd.DataFrame:
    """Three runs of the chinchilla law."""
    frame = {
        "model": list("abc"),
        "params": [1e8, 2e8, 4e8],
        "tokens": [1e9, 3e9, 5e9],
        "loss": [4.0, 3.5, 3.1],
    }
    return pd.DataFrame({**frame, **columns})


def counts(**columns) -> pd.DataFrame:
    """Counts of three models on two problems."""
    frame = {
        "model": np.repeat(list("abc"), 2), "problem": ["p", "q"] * 3, "n": 10, "c": [1, 2, 3, 4, 5, 6],
        "compute": np.repeat([1e18, 1e19, 1e20], 2),
    }  # fmt: skip
    return pd.DataFrame({**frame, **columns})


def few_counts(**columns) -> pd.DataFrame:
    """Counts of two models on two problems."""
    return pd.DataFrame({**counts().iloc[:4].assign(n=10).to_dict("list"), **columns})


def fractions(**columns) -> pd.DataFrame:
    return pd.DataFrame({"compute": [1e18, 1e19], "pass_at_k": [0.1, 0.2], **columns})


def curve(run: str = "r", **columns) -> pd.DataFrame:
    """A loss curve of four steps."""
    steps = [5, 10, 50, 100]
    return pd.DataFrame({"run": run, "step": steps, "loss": [5.0, 4.0, 3.5, 3.2], **columns})


TEXT = "cosine(peak=3e-4, end=3e-5, warmup=10, total=100)"
OFF = curve(lr=[1.5e-4, 3e-4, 2e-4, 3e-5])


def row_of(**columns) -> pd.DataFrame:
    """A table of points, without names."""
    return pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [3.0, 2.5, 2.2], **columns})


def falling(**columns) -> pd.DataFrame:
    """Twelve points that follow the power law."""
    x = np.geomspace(1e2, 1e6, 12)
    return pd.DataFrame({"x": x, "y": 0.5 + 3 * x**-0.3, **columns})


def instead(column: str, value: float) -> pd.DataFrame:
    """A table with one number that no table should hold, in its third row."""
    frame = falling(sampling_error=0.01)
    frame.loc[2, column] = value
    return frame


def graded(models: int = 6, problems: int = 8, n: int = 400) -> pd.DataFrame:
    """Counts of models on two benchmarks with problems of two difficulties, which differ in level."""
    rng = np.random.default_rng(0)
    C = np.geomspace(1e18, 1e22, models)
    parts = []
    for benchmark, apart in (("GSM8K", -0.3), ("MATH", 0.1)):
        for difficulty, harder in (("easy", 0.0), ("hard", 0.4)):
            p = np.exp(-(0.3 + 900 * C**-0.125) * np.exp(apart + harder))
            parts.append(pd.DataFrame({
                "model": np.repeat([f"m{i}" for i in range(models)], problems), "benchmark": benchmark, "difficulty": difficulty,
                "problem": np.tile([f"{benchmark} {difficulty} {i}" for i in range(problems)], models),
                "n": n, "c": rng.binomial(n, np.repeat(p, problems)), "compute": np.repeat(C, problems),
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def equal() -> pd.DataFrame:
    """One benchmark of these, every problem with as many samples."""
    return graded()[lambda t: t["benchmark"] == "MATH"]


def unequal() -> pd.DataFrame:
    """Counts whose n differs between the problems of two models."""
    table = equal()
    return table.assign(n=np.where((table["model"] < "m2") & (table.index % 8 == 0), 900, table["n"]))


def losses(**columns) -> pd.DataFrame:
    frame = pd.DataFrame({"x": np.geomspace(1, 100, 6), "y": np.linspace(2, 1, 6), "family": list("aabbcc")})
    return frame.assign(**columns)


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
WIDE = pd.DataFrame({f"loss_{i}": [1.0, 2.0] for i in range(140)})
GOLD_LONG = pd.DataFrame(
    {"model": np.repeat(list("abc"), 2), "problem": ["p", "q"] * 3, "gold_nll": [9.0, 8, 7, 6, 5, 4]}
)
SAME = {"model": ["a", "a", "b"], "params": [1e8, 1e8, 2e8], "tokens": [1e9, 1e9, 2e9]}
JITTER = [1e18, 1e18, 1e19, 1e19 * (1 + 1e-9), 1e20, 1e20]
X = np.geomspace(1, 1e5, 30)
LADDER = bl.read_table(pd.DataFrame({"x": X, "y": 3 * X**-0.2, "group": [f"g{i}" for i in range(30)]}), HELD)
MANY = bl.read_table(
    pd.DataFrame({"x": np.arange(1.0, 302), "y": 2.0, "model": [f"m{i}" for i in range(301)]}), HELD
)
MANY_ROWS = LADDER.isel(obs=np.zeros(30_000, dtype=int))
NINE = few_counts(n=9)
HUGE = 99999999999999999999
RENAMED = {"loss": "y", "compute": "x"}
CURVES = {"kernel": "exponential", "over": ["step"], "within": "run"}

# ---- laws

MINE = """
title  = "my own law"
law    = "E0 + B * D**-beta"

[inputs]
D = { column = "tokens", meaning = "tokens", unit = "hours", reference = "geometric-mean" }

[output]
name  = "perplexity"
unit  = "1"
scale = "log"

[parameters]
level = { support = "positive", prior_90 = [0.1, 50] }
floor = { support = "unit" }
beta  = { support = "positive", prior_90 = [0.05, 1.0] }

[derived]
E0 = "level * floor"
B  = { formula = "level * (1 - floor) * ref_D**beta", meaning = "size", unit = "1" }

[inverse]
level = "E0 + B * ref_D**-beta"
floor = "E0 / (E0 + B * ref_D**-beta)"

[likelihood]
family = "StudentT"
sigma = { prior_90 = [0.001, 0.3] }
nu    = { prior_90 = [2, 60] }
"""
POSITIVE = {"support": "positive"}
S2 = {"function": "annealing_area", "argument": "beta", "range": [0.95, 0.9998]}
LAM = {"support": "unit", "prior_90": [0.98, 0.9995], "bounds": [0.95, 0.9998]}
SIMPLEX = {"support": "simplex", "names": ["one", "two"]}


def edited(path: str, value=..., delete: bool = False, law: str | bl.Spec = MINE) -> dict:
    """Return the tables of a law with one entry set or removed; dots separate keys."""
    document = tomllib.loads(law) if isinstance(law, str) else copy.deepcopy(dict(law.document))
    *sections, key = path.split(".")
    table = document
    for section in sections:
        table = table.setdefault(section, {})
    if delete:
        del table[key]
    else:
        table[key] = value
    return document


def with_area(area=None, lam=None, law="E0 + B * D**-beta - S2(lam)") -> dict:
    """Return MINE with a function input and its argument."""
    document = edited("law", law)
    document["inputs"]["S2"] = {**S2, "argument": "lam", **(area or {})}
    document["parameters"]["lam"] = lam or LAM
    return document


def with_several(arguments, ranges) -> dict:
    """Return MINE with a function input that names several arguments."""
    document = with_area()
    function, meaning = S2["function"], "area"
    document["inputs"]["S2"] = {
        "function": function,
        "meaning": meaning,
        "arguments": arguments,
        "ranges": ranges,
    }
    return document


def with_simplex(**changes) -> dict:
    """Return MINE with its level split by a simplex."""
    document = edited("law", "level * one + level * two * D**-beta * ref_D**beta + floor")
    document["derived"] = document["inverse"] = {}
    document["parameters"]["share"] = {**SIMPLEX, **changes}
    return document


def with_starts(starts) -> dict:
    """Return the chinchilla law with other places to start from."""
    document = dict(CHINCHILLA.document)
    return {**document, "map": {**document["map"], "starts": starts}}


def with_level(**entries) -> dict:
    """Return the compute law with more said of its level."""
    document = copy.deepcopy(dict(COMPUTE.document))
    document["parameters"]["level"].update(entries)
    return document


def line(scale: str = "identity", **priors) -> bl.Spec:
    """A law on the scale of its own output, in an input that may be anything."""
    prior = {"a": [-3, 3], "b": [-3, 3], **priors}
    support = {n: "positive" if v[0] > 0 else "real" for n, v in prior.items()}
    parameters = "\n".join(f'{n} = {{ support = "{support[n]}", prior_90 = {v} }}' for n, v in prior.items())
    return parse_toml(f"""
        law = "a + b * x"
        [inputs]
        x = {{ column = "x" }}
        [output]
        name = "y"
        unit = "points"
        scale = "{scale}"
        [parameters]
        {parameters}
        [likelihood]
        family = "Normal"
        sigma = {{ prior_90 = [0.01, 1] }}
    """, "line")  # fmt: skip


# ---- files


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


CSV = runs().to_csv(index=False)
NO_CSV = "cannot be read as CSV"
LONG = 300 * "n"
CONSTANT = "constant(peak=2e-4, total=100)"


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


def fill(folder: Path, point: bl.Fit) -> None:
    """Put one of everything that a command reads into a folder."""
    x = np.geomspace(1, 1e3, 12)
    table = pd.DataFrame({"model": [f"m{i}" for i in range(12)], "x": x, "y": 3 * x**-0.2})
    table.to_csv(folder / "t.csv", index=False)
    pd.DataFrame({"model": ["m1"], "extra": [1]}).to_csv(folder / "join.csv", index=False)
    (folder / "m.toml").write_text(point.spec.to_toml())
    point.save(folder / "f.nc")
    point.save(folder / "g.nc")
    (folder / "figs").mkdir()
    os.link(folder / "f.nc", folder / "figs/fit.png")
    os.symlink("t.csv", folder / "link.csv")
    os.symlink("gone.nc", folder / "dangling.nc")
    os.link(folder / "t.csv", folder / "hard.csv")
    (folder / "folder").mkdir()
    os.symlink("folder", folder / "linked-folder")
    (folder / "locked.nc").write_text("mine")
    (folder / "locked.nc").chmod(0o444)
    os.mkfifo(folder / "pipe.nc")


FIT = ("fit", "m.toml", "t.csv", "--method", "map", "--bootstrap", "8")
BACKTEST = ("backtest", "m.toml", "t.csv", "--along", "x", "--methods", "point", "--bootstrap", "20")
STABILITY = ("stability", "m.toml", "t.csv", "--along", "x")
FORECAST = ("forecast", "f.nc", "--at", "x=1e7")

# ---- calls: each takes what the test has at hand, `g`


def reads(frame, spec=CHINCHILLA, **options):
    return lambda g: bl.read_table(frame, spec, **options)


def passes_of(frame, **options):
    return reads(frame, COMPUTE, **options)


def curves(frame, schedules=None, spec=ANNEALING, **options):
    return lambda g: bl.read_curves(frame, spec, schedules, **options)


def kept(where):
    return lambda g: keep(VALUES, where)


def read_file(name: str, content: bytes | None = None, spec: bl.Spec = CHINCHILLA):
    """Write a file, unless it shall be missing, and read it as a table."""

    def call(g):
        if content is not None:
            (g.folder / name).write_bytes(content)
        return bl.read_table(g.folder / name, spec)

    return call


def law(document):
    return lambda g: parse_spec(document, "mine")


def model_file(content: bytes):
    def call(g):
        (g.folder / "broken.toml").write_bytes(content)
        return bl.load_model(g.folder / "broken.toml")

    return call


def changed(spec: bl.Spec = COMPUTE, **changes):
    return lambda g: bl.change(spec, **changes)


def parsed(text):
    return lambda g: bl.parse_schedule(text)


def mapped(edit=lambda spec, data: (spec, data), law="compute", **settings):
    """Fit a law by its mode, with these settings or to data or a law that were edited."""
    given = {"method": "map", **({} if settings else {"bootstrap": 0}), **settings}
    return lambda g: bl.fit(*edit(*noiseless(law)), **given)


def fitted(**settings):
    return lambda g: bl.fit(HELD, LADDER, **settings)


def made(column: str, value: float, method: str):
    """Fit data that came from elsewhere than a table."""

    def call(g):
        data = bl.read_table(falling(sampling_error=0.01), POWER)
        values = data[column].values.copy()
        values[2] = value
        return bl.fit(POWER, data.assign({column: ("obs", values)}), method)

    return call


def stable(**settings):
    return lambda g: bl.stability(HELD, LADDER, **{"along": "x", **settings})


def backtested(**settings):
    return lambda g: bl.backtest(HELD, LADDER, **{"along": "x", **settings})


def forecasts(*arguments, fit: str = "compute", **options):
    return lambda g: bl.forecast(getattr(g, fit), *arguments, **options)


def altered(edit):
    """Save a fit, change the file and load it."""

    def call(g):
        path = g.compute.save(g.folder / "fit.nc")
        with h5py.File(path, "r+") as file:
            edit(file)
        return bl.load_fit(path)

    return call


def truncated(share: float):
    def call(g):
        path = g.compute.save(g.folder / "fit.nc")
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        return bl.load_fit(path)

    return call


def no_fit(content: bytes | None):
    def call(g):
        if content is not None:
            (g.folder / "garbage.nc").write_bytes(content)
        return bl.load_fit(g.folder / "garbage.nc")

    return call


def command(*arguments):
    """Run a command in the folder that `fill` made."""
    return lambda g: CliRunner().invoke(main, [str(a) for a in arguments])


def early(*arguments):
    """Run a command that must end before a model or a fit is read."""

    def call(g):
        for name in ("bayeslaw.law.catalogue.load_model", "bayeslaw.inference.loading.load_fit"):
            g.patch.setattr(name, g.never)
        return command(*arguments)(g)

    return call


def fits_table(model: str, frame: pd.DataFrame, *options):
    """Fit a table by the command line."""

    def call(g):
        frame.to_csv(g.folder / "table.csv", index=False)
        return command("fit", model, g.folder / "table.csv", "-o", g.folder / "out.nc", *options)(g)

    return call


def resolved(edit):
    def call(g):
        spec, data = noiseless("compute")
        return bl.resolve(spec, edit(data))

    return call


def kept_whole(**columns):
    """Fit, save and load a table with these columns beside its own; return what was loaded."""

    def call(g):
        fit = bl.fit(POWER, bl.read_table(falling(**columns), POWER), "map", bootstrap=0)
        again = bl.load_fit(fit.save(g.folder / "fit.nc"))
        assert again.data.identical(fit.data)
        return again.data

    return call


def checked(frame: pd.DataFrame, spec: bl.Spec = POWER):
    """Fit a table by its mode and return what the checks say."""
    return lambda g: bl.checks(bl.fit(spec, bl.read_table(frame, spec), "map", bootstrap=0))


def full_disk(g):
    """Save where the last bytes find no room."""

    def full(_):
        raise OSError(28, "No space left on device")

    g.patch.setattr(os, "fsync", full)
    try:
        g.power.save(g.folder / "fit.nc")
    finally:
        assert list(g.folder.iterdir()) == []


def titled(title: str):
    """Draw a fit whose law has this title."""

    def call(g):
        fit = bl.Fit(replace(g.power.spec, title=title), g.power.tree)
        return bl.plots.save(bl.plots.plot_residuals(fit), g.folder / "figure.png")

    return call


def other_problems() -> pd.DataFrame:
    """Counts of models of which one was asked other problems."""
    rows = [
        (m, p, 10, 1 + i)
        for i, (m, ps) in enumerate({"a": "pqrs", "b": "pq", "c": "pqrs"}.items())
        for p in ps
    ]
    frame = pd.DataFrame(rows, columns=["model", "problem", "n", "c"])
    return frame.assign(compute=1e18 * 10.0 ** pd.factorize(frame["model"])[0])


def stopped() -> pd.DataFrame:
    """Counts of nine models that were sampled in batches of 128 until one success."""
    rng = np.random.default_rng(3)
    p = np.exp(np.linspace(-9.0, -4.5, 9)[:, None] + 1.5 * rng.standard_normal((9, 64))).clip(0, 0.95)
    at = rng.geometric(p)
    n = np.minimum(-(-at // 128) * 128, 10112)
    return pd.DataFrame({
        "model": np.repeat([f"m{i}" for i in range(9)], 64), "problem": np.tile(np.arange(64).astype(str), 9),
        "n": n.ravel(), "c": (at <= n).astype(int).ravel(), "compute": np.repeat(np.geomspace(1e18, 1e22, 9), 64),
    })  # fmt: skip
