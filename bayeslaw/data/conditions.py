"""Read the conditions on rows that a user writes, such as ``params>=1e9`` or ``model=a|b``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from bayeslaw.core.errors import InputError, listed
from bayeslaw.data.frames import spells_number


@dataclass(frozen=True)
class Condition:
    """A condition as it was written, and its parts."""

    text: str
    column: str
    sign: str
    value: str

    def refuse(self, why: str) -> InputError:
        """Return the error that says why it can't be used."""
        return InputError(f"where {self.text!r}: {why}")


def conditions(where: str | Iterable[str | Condition] | None) -> list[Condition]:
    """Read conditions.

    Parameters
    ----------
    where : str or iterable of str, optional
        As in `keep`; what was read already is left as it is.

    Returns
    -------
    list of Condition

    Raises
    ------
    InputError
        If one is none.
    """
    allowed = "'column=value', or a list of such conditions"
    wanted = [where] if isinstance(where, str) else listed("where", () if where is None else where, allowed)
    out = []
    for text in wanted:
        if isinstance(text, Condition):
            out.append(text)
            continue
        match = re.fullmatch(r"\s*(.+?)\s*(!=|<=|>=|==|=|<|>)\s*(.*?)\s*", str(text), re.DOTALL)
        if not match:
            raise InputError(f"where: {text!r} is no condition; write column=value (also != < <= > >=).")
        condition = Condition(str(text), match[1], match[2].replace("==", "="), match[3])
        if condition.sign == "=" and condition.value[:1] in ("<", ">") and spells_number(condition.value[1:]):
            raise condition.refuse(f"write {condition.value[0]}=, not ={condition.value[0]}.")
        out.append(condition)
    return out


def column_of(condition: Condition, frame: pd.DataFrame, rename: Mapping[str, str] | None) -> str | None:
    """Return the column that a condition is about, by either name; None if there is none.

    Parameters
    ----------
    condition : Condition
    frame : pandas.DataFrame
    rename : mapping of str to str, optional
        Renames that were made, or will be.

    Returns
    -------
    str or None
        ``"row"``, where the table has no such column, is the row's number.
    """
    theirs = {ours: name for name, ours in (rename or {}).items()}
    names = (condition.column, (rename or {}).get(condition.column), theirs.get(condition.column))
    found = next((name for name in names if name in frame.columns), None)
    return "row" if found is None and condition.column == "row" else found
