"""Turns a record into a program: instructions as integers, constants as numbers, places in one array of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bayeslaw.inference.machine.densities import call_table
from bayeslaw.inference.machine.graph import Node
from bayeslaw.inference.machine.instructions import CALLS, OPCODES

COLUMNS = 7
"""Of an instruction: its number, where its result begins, how many entries it runs over; where its two arguments
begin; two numbers more. Arguments below zero are constants."""


_FROM_ALL = ("sum", "sumprod", "dot", "scatter")
"""They run over the entries of their arguments, the others over those of their result."""


@dataclass(frozen=True, eq=False)
class Program:
    """What the machine runs.

    Attributes
    ----------
    code : numpy.ndarray of int64, shape (instructions, COLUMNS)
    constants : numpy.ndarray, shape (constants,)
    integers : numpy.ndarray of int64
        Indices of gathers, tables of calls.
    inputs : int
        How many numbers it takes: the first places of its work.
    outputs : int
        How many numbers it yields: the places behind.
    size : int
        Places of work.
    """

    code: np.ndarray = field(repr=False)
    constants: np.ndarray = field(repr=False)
    integers: np.ndarray = field(repr=False)
    inputs: int
    outputs: int
    size: int


def assemble(inputs: int, outputs: Sequence[tuple[Node | None, int | None]]) -> Program:
    """Assemble a program.

    Parameters
    ----------
    inputs : int
        How many numbers all inputs are.
    outputs : sequence of (node, size)
        What the program yields, one after the other: a scalar where the size is None, else a vector of that size.
        A scalar node fills a vector; None stands for zeros.

    Returns
    -------
    Program
    """
    return _Assembler(inputs, outputs).program()


class _Assembler:
    def __init__(self, inputs: int, outputs: Sequence[tuple[Node | None, int | None]]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.yielded = sum(1 if size is None else size for _, size in outputs)
        self.size = inputs + self.yielded
        self.order, self.uses = _needed([node for node, _ in outputs if node is not None])
        self.code: list[list[int]] = []
        self.constants: list[np.ndarray] = []
        self.integers: list[np.ndarray] = []
        self.filled = self.counted = 0
        self.place: dict[int, int] = {}
        self.free: dict[int, list[int]] = {}

    def program(self) -> Program:
        """Place every node, and the outputs behind the inputs."""
        left = dict(self.uses)
        fused = {n.args[0].number for n in self.order if self._fuses(n)}
        for node in self.order:
            if node.op == "input":
                self.place[node.number] = node.payload
            elif node.op == "constant":
                self.place[node.number] = -1 - self._constant(node.value)
            elif node.number not in fused:
                self._emit(node, node.args[0].args if self._fuses(node) else node.args, left)
        at = self.inputs
        for node, size in self.outputs:
            self._yield(node, size, at)
            at += 1 if size is None else size
        code = np.array(self.code, dtype=np.int64).reshape(-1, COLUMNS)
        return Program(
            code, _joined(self.constants, float), _joined(self.integers, np.int64), self.inputs, self.yielded, self.size
        )  # fmt: skip

    def _fuses(self, node: Node) -> bool:
        """Whether a sum is one of products that nothing else needs."""
        arg = node.args[0] if node.op == "sum" else None
        return arg is not None and arg.op == "mul" and self.uses[arg.number] == 1

    def _emit(self, node: Node, args: Sequence[Node], left: dict[int, int]) -> None:
        op = "copy" if node.op == "known" else "sumprod" if self._fuses(node) else node.op
        used = args[:1] if node.op == "known" else args
        entries = max(_length(a) for a in used) if op in _FROM_ALL else _length(node)
        written: list[int] = []
        if node.op in CALLS:
            extra = self._integers(call_table(node.op, [self.place[a.number] for a in args], node.payload, self._constant, self._integers))  # fmt: skip
            row = [0, 0, extra, 0]
        else:
            row = self._row(node, op, [self._full(a, entries, written) for a in used[:2]])
        out = self._take(_length(node))
        self.code.append([OPCODES[op], out, entries, *row])
        self.place[node.number] = out
        self.free.setdefault(entries, []).extend(written)
        for arg in (node, *args, *(node.args if self._fuses(node) else ())):
            self._release(arg, left, arg is node)

    def _full(self, arg: Node, entries: int, written: list[int]) -> int:
        """Return where an argument stands with so many entries; a scalar is written out for them."""
        if arg.size is not None or entries == 1:
            return self.place[arg.number]
        written.append(self._take(entries))
        self.code.append([OPCODES["fill"], written[-1], entries, self.place[arg.number], 0, 0, 0])
        return written[-1]

    def _row(self, node: Node, op: str, places: Sequence[int]) -> list[int]:
        row = [*places, 0][:2]
        payload = node.payload
        if op == "truncated":
            return [*row, self._constant(np.array(payload)), 0]
        if op == "gather":
            return [*row, self._integers(payload), 0]
        if op == "scatter":
            return [*row, self._integers(payload[0]), payload[1]]
        if op == "dot":
            return [*row, self._constant(payload.ravel()), payload.shape[1]]
        if op == "part":
            row[0] += payload[0]
        return [*row, 0, 0]

    def _release(self, arg: Node, left: dict[int, int], own: bool) -> None:
        """Give a place free whose last use this was."""
        if not own:
            left[arg.number] -= 1
        if left[arg.number] == 0 and arg.op not in ("input", "constant") and arg.number in self.place:
            self.free.setdefault(_length(arg), []).append(self.place[arg.number])
            left[arg.number] = -1

    def _take(self, size: int) -> int:
        if self.free.get(size):
            return self.free[size].pop()
        self.size += size
        return self.size - size

    def _constant(self, value: np.ndarray) -> int:
        self.constants.append(np.atleast_1d(np.asarray(value, dtype=float)).ravel())
        self.filled += len(self.constants[-1])
        return self.filled - len(self.constants[-1])

    def _integers(self, value: Sequence[int] | np.ndarray) -> int:
        self.integers.append(np.asarray(value, dtype=np.int64))
        self.counted += len(self.integers[-1])
        return self.counted - len(self.integers[-1])

    def _yield(self, node: Node | None, size: int | None, at: int) -> None:
        place = -1 - self._constant(np.zeros(1)) if node is None else self.place[node.number]
        op = "fill" if node is None or node.size is None else "copy"
        self.code.append([OPCODES[op], at, 1 if size is None else size, place, 0, 0, 0])


def _length(node: Node) -> int:
    return 1 if node.size is None else node.size


def _needed(outputs: Sequence[Node]) -> tuple[list[Node], dict[int, int]]:
    """Return the nodes that outputs need, in order, and how often each is used."""
    uses: dict[int, int] = {}
    waiting, seen = list(outputs), {}
    for node in outputs:
        uses[node.number] = uses.get(node.number, 0) + 1
    while waiting:
        node = waiting.pop()
        if node.number in seen:
            continue
        seen[node.number] = node
        for arg in node.args:
            uses[arg.number] = uses.get(arg.number, 0) + 1
            waiting.append(arg)
    return [seen[n] for n in sorted(seen)], uses


def _joined(parts: Sequence[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([np.asarray(p, dtype=kind) for p in parts]) if parts else np.zeros(1, kind)
