"""README and guide: short, linked, and every block of code in them runs."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import TRUTHS
from malformed_inputs import graded

from bayeslaw.cli import guide
from bayeslaw.cli.main import main
from bayeslaw.demo import simulated_counts
from bayeslaw.inference import compiled, nuts
from bayeslaw.inference.coordinates import latent_vectors
from bayeslaw.law.evaluate import evaluate_law, law_inputs, to_scale
from bayeslaw.law.priors import draw_priors
from bayeslaw.observation.bound import BoundLaw

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bayeslaw"
README = ROOT / "README.md"
PAGES = {"README": README} | {path.stem: path for path in sorted(guide.FOLDER.glob("*.md"))}
TOPICS = guide.topics()
FENCE = re.compile(r"^(<!-- not yet -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_WORDS = 700


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Return a page's blocks of code in a language, but for what a comment says is not there yet."""
    return [code for later, kind, code in FENCE.findall(text_of(page)) if kind == language and not later]


# ---- words and links


def test_the_readme_is_short():
    assert len(text_of("README").split()) <= MOST_WORDS


@pytest.mark.parametrize("page", sorted(set(PAGES) - {"README", "index"}))
def test_a_page_begins_with_what_it_answers(page):
    title, _, first = text_of(page).splitlines()[:3]
    assert title.startswith("# ")
    assert first.startswith("This page answers: ")


def test_the_index_and_the_readme_lead_to_every_page():
    pages = set(PAGES) - {"README", "index"}
    assert set(TOPICS) == pages | {"law-files"}
    assert set(re.findall(r"bayeslaw/guide/(\w+)\.md", text_of("README"))) == pages | {"index"}


def links(path: Path) -> list[str]:
    """Return what a document links to, code aside."""
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text(encoding="utf-8")))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub names them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", [*PAGES.values(), ROOT / "models" / "README.md"], ids=lambda p: f"{p.parent.name}/{p.stem}")  # fmt: skip
def test_links_lead_somewhere(path):
    for link in links(path):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        at = (path.parent / target).resolve() if target else path
        assert at.exists(), f"{path.name}: {link}"
        assert at.is_relative_to(ROOT), f"{path.name}: {link}"
        assert not anchor or anchor in anchors(at), f"{path.name}: {link}"


def test_the_glossary_has_ten_words():
    rows = [line for line in text_of("glossary").splitlines() if line.startswith("| **")]
    assert len(rows) == 10


def test_the_house_page_names_what_is_there():
    """Modules and folders as `package/module`, files by their path; <name> stands for a new one."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    named = re.findall(r"`([\w./*]+)`", text_of("house"))
    assert packages <= set(named)
    for name in named:
        if name.split("/")[0] in packages and "/" in name:
            assert (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file(), name
        elif "/" in name and "*" not in name:
            assert (ROOT / name).exists(), name


def test_every_check_is_explained():
    told = text_of("checks")
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Check" and node.args:
                name = node.args[0]
                assert not isinstance(name, ast.Constant) or f"`{name.value}`" in told, (
                    f"{path.name}: {name.value}"
                )


# ---- the command


def test_the_command_lists_topics_and_prints_pages():
    listed = CliRunner().invoke(main, ["guide"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.output.splitlines() if line][:-1] == list(TOPICS)
    for topic, (path, answers) in TOPICS.items():
        assert answers in listed.output
        told = CliRunner().invoke(main, ["guide", topic])
        assert told.exit_code == 0
        assert told.output == path.read_text(encoding="utf-8")


def test_an_unknown_topic_is_one_message():
    result = CliRunner().invoke(main, ["guide", "forecast"])
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "bayeslaw: guide: no topic 'forecast'; did you mean 'forecasts'? Allowed:"
    )
    assert len(result.stderr.splitlines()) == 1


def test_a_terminal_gets_the_page_laid_out(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with click.Context(guide.guide) as context:
        context.invoke(guide.guide, topic="glossary")
    shown = capsys.readouterr().out
    assert "Glossary" in shown
    assert "# Glossary" not in shown
    assert "**" not in shown


# ---- shells


def commands(page: str) -> list[list[str]]:
    """Return the words of every command of the package in a page's shell blocks."""
    lines = [part for block in blocks(page, "sh") for line in block.splitlines() for part in line.split("&&")]
    words = [shlex.split(line, comments=True) for line in lines]
    return [w[w.index("bayeslaw") + 1 :] for w in words if "bayeslaw" in w]


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)])
def test_shell_blocks_are_commands_with_their_options(page):
    for name, *arguments in commands(page):
        command = main.commands[name]
        with command.make_context(name, list(arguments), resilient_parsing=False) as context:
            needed = [p.name for p in command.params if p.required]
            assert all(context.params[p] for p in needed)


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_help(name):
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_options_in_the_text_are_there():
    known = {"--help", "--version"} | {
        option for command in (main, *main.commands.values()) for p in command.params for option in p.opts
    }
    for page in PAGES:
        assert set(re.findall(r"(?<![\w|-])--[a-z][a-z-]+", text_of(page))) <= known, page


# ---- Python


def nearest_priors(bound: BoundLaw, settings: dict, progress: bool | None) -> dict[str, xr.Dataset]:
    """Stand in for NUTS: of many draws of the priors those nearest to the rows, in no time.

    The blocks are about what a user writes and gets back; posteriors are tested elsewhere.
    """
    spec, data = bound.spec, bound.data
    rng, size = np.random.default_rng(settings["seed"]), 2000
    shape = settings["chains"], settings["draws"]
    prior = draw_priors(spec, size, rng)
    with np.errstate(all="ignore"):
        law = evaluate_law(spec, {n: v[:, None] for n, v in prior.items()}, law_inputs(spec, data))
        miss = to_scale(law, spec.output.scale) - to_scale(data[spec.output.name].values, spec.output.scale)
    miss = np.where(np.isfinite(miss), miss**2, np.inf)
    chosen = np.argsort(np.median(miss, axis=1))[:100][rng.integers(100, size=shape)]
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    drawn = {n: v[chosen] for n, v in prior.items()}
    stats = {"diverging": np.zeros(shape, bool), "energy": rng.standard_normal(shape)}
    groups = {
        "posterior": nuts.posterior(spec, drawn, coords),
        "sample_stats": xr.Dataset({n: (("chain", "draw"), v) for n, v in stats.items()}, coords),
    }
    if sizes := latent_vectors(bound):
        latent = {
            n: (("chain", "draw", f"{n}_dim"), rng.standard_normal((*shape, k))) for n, k in sizes.items()
        }
        groups["latent"] = xr.Dataset(latent, coords)
    return groups


def look(**_: object) -> None:
    """Stand in for ``pm.sample``: the model at hand has a density where it would start."""
    import pymc as pm

    model = pm.modelcontext(None)
    density = model.compile_fn(model.logp(), mode="FAST_COMPILE")
    assert np.isfinite(density(model.initial_point()))


def families(rng: np.random.Generator) -> pd.DataFrame:
    compute = np.geomspace(1e19, 1e23, 18)
    rate = np.exp(-(0.3 + 900 * compute**-0.125))
    return pd.DataFrame({
        "model": [f"m{i}" for i in range(18)], "family": np.tile(["Pythia", "Llama", "OLMo"], 6),
        "n": 164, "c": rng.binomial(164, rate), "compute": compute,
    })  # fmt: skip


def ladder(rng: np.random.Generator) -> pd.DataFrame:
    """Thirty runs with all columns that the pages ask of such a table."""
    params, tokens = np.geomspace(1e8, 1e10, 30), 10 ** rng.uniform(10, 11.5, 30)
    true = TRUTHS["params-tokens"]
    level = true["E0"] + true["N0"] * params ** -true["beta"] + true["D0"] * tokens ** -true["gamma"]
    return pd.DataFrame({
        "model": [f"m{i}" for i in range(30)], "suite": np.tile(["a", "b", "c"], 10), "flag": np.arange(30) % 5 == 0,
        "params": params, "tokens": tokens, "acc": np.exp(-level * np.exp(0.02 * rng.standard_normal(30))),
    })  # fmt: skip


def losses(runs: list[tuple[str, int]], rng: np.random.Generator, **columns: list) -> pd.DataFrame:
    """Loss curves with a point every 500 steps, to the last step of each run."""
    parts = []
    for i, (run, last) in enumerate(runs):
        step = np.arange(500, last + 1, 500)
        loss = 2.6 + 12 / step**0.5 + 0.1 * i + 0.002 * rng.standard_normal(len(step))
        parts.append(
            pd.DataFrame({"run": run, "step": step, "loss": loss} | {n: v[i] for n, v in columns.items()})
        )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Path:
    """A folder with the tables that the pages read."""
    folder, rng = tmp_path_factory.mktemp("workshop"), np.random.default_rng(0)
    counts = simulated_counts()
    sizes = [(f"{size}-{run}", 20000) for size in ("25M", "100M") for run in "ab"]
    tables = {
        "bayeslaw-demo/simulated-counts": counts,
        "counts": counts.assign(lr_warming_up=(counts["model"] == "simulated-01").astype(int)),
        "gold_nll": pd.DataFrame({"model": counts["model"].unique(), "gold_nll": np.geomspace(150, 20, 22)}),
        "runs": ladder(rng),
        "ladder": ladder(rng).rename(columns={"acc": "pass_at_k"}),
        "humaneval": families(rng),
        "graded": graded(),
        "curve": pd.DataFrame({"x": np.geomspace(1e2, 1e6, 40), "y": 1.7 + 9 * np.geomspace(1e2, 1e6, 40) ** -0.3}),
        "curves": losses([("run1", 24000), ("run2", 16000)], rng),
        "sizes": losses(sizes, rng, model_size=["25M", "25M", "100M", "100M"]),
    }  # fmt: skip
    (folder / "bayeslaw-demo").mkdir()
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    (law,) = blocks("laws", "toml")
    (folder / "mine.toml").write_text(law, encoding="utf-8")
    return folder


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")])
def test_blocks_run(page, workshop, monkeypatch):
    """The blocks of a page run one after the other, as a reader would run them."""
    monkeypatch.chdir(workshop)
    monkeypatch.setattr(nuts, "sample", nearest_priors)
    if any("pm.sample(" in block for block in blocks(page, "python")):
        monkeypatch.setattr("pymc.sample", look)
    monkeypatch.setattr(compiled, "compile_model", lambda *_: None)
    space: dict[str, object] = {}
    for number, block in enumerate(blocks(page, "python"), 1):
        exec(compile(block, f"{PAGES[page].name}, block {number}", "exec"), space)
    plt.close("all")


def test_the_law_of_the_guide_is_one():
    (law,) = blocks("laws", "toml")
    assert "E + A * D**-beta" in law
