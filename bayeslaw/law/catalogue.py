"""Reads laws, shipped ones and the user's own, and makes changed ones of them."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from bayeslaw.core.errors import InputError, check_choice, check_type, did_you_mean, shown
from bayeslaw.law.families import FAMILIES
from bayeslaw.law.parse import parse_spec
from bayeslaw.law.spec import SCALES, Spec, check_spec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MAX_BYTES = 100_000


def models_folder() -> Path:
    """Return the folder of the shipped model files: inside the wheel, or beside the package."""
    package = Path(__file__).parents[1]
    for folder in (package / "models", package.parent / "models"):
        if folder.is_dir():
            return folder
    raise InputError("the shipped model files are missing; install bayeslaw again.")


def models() -> pd.DataFrame:
    """List the shipped laws.

    Returns
    -------
    pandas.DataFrame
        Columns name, title, law, source; one row a law.
    """
    import pandas as pd

    specs = [load_model(path.stem) for path in sorted(models_folder().glob("*.toml"))]
    rows = [{"name": s.name, "title": s.title, "law": s.law.text, "source": s.source} for s in specs]
    return pd.DataFrame(rows, columns=["name", "title", "law", "source"])


def load_model(name: str | Path) -> Spec:
    """Read a law.

    Parameters
    ----------
    name : str or path
        A shipped name (see `models`), or the path of a ``.toml`` file.

    Returns
    -------
    Spec

    Raises
    ------
    InputError
        If there is no such model, or its file is malformed.
    """
    check_type("model", name, str | Path, "a shipped name, or the path of a .toml file")
    path = Path(name)
    if path.suffix != ".toml":
        shipped = {p.stem: p for p in models_folder().glob("*.toml")}
        if str(name) not in shipped:
            raise InputError(
                f"no model named {str(name)!r}{did_you_mean(str(name), shipped)} "
                "For a law of your own give the path of its .toml file."
            )
        path = shipped[str(name)]
    return parse_toml(_read(path), path.stem)


def parse_toml(text: str, name: str) -> Spec:
    """Read a law from the text of a model file.

    Parameters
    ----------
    text : str
        TOML.
    name : str
        The model's name.

    Returns
    -------
    Spec

    Raises
    ------
    InputError
        If it is not TOML or not a model.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or an integer of 5000 digits
        raise InputError(f"model '{name}': not valid TOML ({error}); correct that line.") from None
    return parse_spec(document, name)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a model file ({error}).") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES} bytes; that is no model file.")
    return text


def change(
    spec: Spec,
    *,
    fix: Mapping[str, float] | None = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    likelihood: Mapping[str, object] | str | None = None,
    discrepancy: Mapping[str, object] | EllipsisType | None = ...,
    pool: Mapping[str, str | Sequence[str] | None] | None = None,
    scale: str | None = None,
) -> Spec:
    """Return a new law that differs from this one in what is named.

    Parameters
    ----------
    spec : Spec
    fix : mapping of str to float, optional
        Parameters to hold at a value, ``{"lam": 0.999}``; ``None`` as the value frees one again.
    prior : mapping of str to (float, float), optional
        New central 90 % intervals of priors, in each parameter's own unit; noise parameters too.
    likelihood : mapping or str, optional
        Entries of ``[likelihood]`` to replace; a new ``family`` keeps the parameters that both have.
        Text names the family alone, in any letters: ``"Binomial"``. An entry that is ``None`` goes:
        ``{"sigma_slope": None}``.
    discrepancy : None or mapping, optional
        ``None``: no discrepancy, so that errors around the law are independent. A mapping replaces
        entries of ``[discrepancy]``, ``{"kernel": "brownian", "length": None}``; an entry that is
        ``None`` goes.
    pool : mapping of str to str or sequence of str, optional
        Parameters to pool partially over the groups of a column, ``{"level": "family"}``; of several
        columns, ``{"level": ["benchmark", "difficulty"]}``, a group is a combination of their labels.
        ``None`` as the column undoes it.
    scale : str, optional
        New scale of errors: identity, log or logit.

    Returns
    -------
    Spec
        Checked as if read from a file.

    Raises
    ------
    InputError
        If a name is unknown or a value not allowed.
    """
    check_spec("change(spec, …)", spec)
    tables = {"fix": fix, "prior": prior, "pool": pool}
    for name, table in tables.items():
        check_type(name, table, Mapping | None, f"a mapping such as {_EXAMPLES[name]}")
    held = [name for name, value in (fix or {}).items() if value is not None and name in (prior or {})]
    if held:
        raise InputError(
            f"change: {held[0]!r} is held by fix, and prior would free it again; give one of them (--fix or --prior)."
        )
    document: dict[str, Any] = copy.deepcopy(dict(spec.document))
    if discrepancy is not ...:
        _change_discrepancy(document, discrepancy)
    for name, value in (fix or {}).items():
        entry = _parameter_entry(spec, document, name)
        entry.pop("fixed", None)
        if value is not None:
            entry["fixed"] = value
        elif name in document.get("map", {}).get("fix", {}):
            del document["map"]["fix"][name]
    for name, interval in (prior or {}).items():
        entry = _parameter_entry(spec, document, name)
        entry.pop("fixed", None)
        entry["prior_90"] = list(interval) if isinstance(interval, list | tuple) else interval
    for name, column in (pool or {}).items():
        entry = _parameter_entry(spec, document, name)
        entry.pop("pool", None)
        if column is not None:
            entry["pool"] = list(column) if isinstance(column, tuple) else column
        else:
            entry.pop("spread", None)
    for key, new in _likelihood(likelihood).items():
        _change_likelihood(document["likelihood"], key, new)
    if scale is not None:
        check_choice("scale", scale, SCALES)
        document["output"]["scale"] = scale
    return parse_spec(document, spec.name)


_EXAMPLES = {"fix": '{"lam": 0.999}', "prior": '{"alpha": (0.05, 0.5)}', "pool": '{"level": "family"}'}


def _likelihood(given: Any) -> dict[str, Any]:
    """Return entries of ``[likelihood]``; a family may be written in any letters."""
    entries = {"family": given} if isinstance(given, str) else {} if given is None else given
    check_type("likelihood", entries, Mapping, "a family's name, or a mapping such as {'family': 'Binomial'}")
    if "family" in entries:
        words = {name.casefold(): name for name in FAMILIES}
        named = entries["family"]
        named = words.get(named.casefold(), named) if isinstance(named, str) else named
        check_choice("likelihood, family", named, FAMILIES)
        entries = {**entries, "family": named}
    return dict(entries)


def _change_likelihood(entries: dict[str, Any], key: str, value: Any) -> None:
    old = entries.get(key)
    if key == "family" and value in FAMILIES:
        old_ones, new_ones = (
            {*FAMILIES[f].noise, *FAMILIES[f].optional} if f in FAMILIES else set() for f in (old, value)
        )
        for name in old_ones - new_ones:
            entries.pop(name, None)
    if value is None:
        entries.pop(key, None)
        return
    entries[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, Mapping) else value


def _change_discrepancy(document: dict[str, Any], value: object) -> None:
    if value is None:
        document.pop("discrepancy", None)
        return
    if not isinstance(value, Mapping):
        raise InputError(f"discrepancy: found {shown(value)}, allowed: None, or a table as in a model file.")
    entries = {**document.get("discrepancy", {}), **value}
    document["discrepancy"] = {k: v for k, v in entries.items() if v is not None}


def _parameter_entry(spec: Spec, document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the table of a parameter in the document, or refuse with the way to go."""
    check_type("change", name, str, "names of parameters")
    if name == "sigma" and name in document.get("discrepancy", {}):
        return document["discrepancy"][name]
    for section in ("parameters", "likelihood"):
        if name in document[section] and isinstance(document[section][name], dict):
            return document[section][name]
    if name.startswith("discrepancy_") and name in spec.noise:
        if name == "discrepancy_own":
            raise InputError(
                f"model '{spec.name}', change: {name!r} is marginalised from 0 to 1 and has no prior to change."
            )
        usual = {"unit": "sigma"} if name == "discrepancy_run" else {}
        return document["discrepancy"].setdefault(name.removeprefix("discrepancy_"), usual)
    where = f"model '{spec.name}', change"
    if name in spec.derived:
        formula = spec.derived[name].formula
        raise InputError(
            f"{where}: {name!r} is derived ({formula.text}); change {', '.join(sorted(formula.symbols & set(spec.scalar_names)))}."
        )
    for parameter in spec.parameters.values():
        if name in parameter.names:
            raise InputError(
                f"{where}: {name!r} is one share of {parameter.name!r} and cannot be changed alone; write a law without it as a .toml file."
            )
    allowed = {*spec.parameters, *spec.likelihood, *(n for n in spec.noise if n.startswith("discrepancy_"))}
    raise InputError(f"{where}: unknown parameter {name!r}{did_you_mean(name, allowed)}")


def resolve(spec: Spec, data: xr.Dataset) -> Spec:
    """Freeze the references of a law's inputs to numbers.

    Parameters
    ----------
    spec : Spec
        References given by name (``"geometric-mean"``) are computed; numbers stay.
    data : xarray.Dataset
        As `read_table` returns it.

    Returns
    -------
    Spec
        The frozen law: shared by all windows of a study, stored in a fit, untouched by forecasts.

    Raises
    ------
    InputError
        If the data lack a column, or its values have no such reference.
    """
    import numpy as np
    import xarray as xr

    check_spec("resolve(spec, data)", spec)
    check_type("resolve(spec, data)", data, xr.Dataset, "a dataset from read_table or read_curves")
    statistics: dict[str, Callable[[np.ndarray], float]] = {
        "geometric-mean": lambda v: np.exp(np.mean(np.log(v))),
        "mean": np.mean, "median": np.median, "minimum": np.min, "maximum": np.max,
    }  # fmt: skip
    document: dict[str, Any] = copy.deepcopy(dict(spec.document))
    for entry in spec.inputs.values():
        if not isinstance(entry.reference, str):
            continue
        if entry.column not in data:
            raise InputError(
                f"model '{spec.name}': the data have no column {entry.column!r}{did_you_mean(entry.column, map(str, data.data_vars), 'The data have')}"
            )
        values = np.asarray(data[entry.column].values, dtype=float)
        if values.size == 0 or (entry.reference == "geometric-mean" and not (values > 0).all()):
            raise InputError(
                f"model '{spec.name}', input {entry.name}: the {entry.reference} needs positive values in column {entry.column!r}."
            )
        document["inputs"][entry.name]["reference"] = float(statistics[entry.reference](values))
    return parse_spec(document, spec.name)
