"""The equations of a cell as functions on arrays, in any namespace."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import sympy as sp
from sympy.simplify.cse_main import tree_cse

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.cells.activations import array_erf, in_pieces, stable_sigmoid
from rmt_jacobian.cells.specification import Cell, Table
from rmt_jacobian.errors import SpecificationError

__all__ = [
    "COMPOSED",
    "ELEMENTARY",
    "CompiledCell",
    "StepDerivatives",
    "array_function",
    "compile_cell",
    "of_numbers_too",
    "written_out",
]

# Names that the generated code may use, and where each comes from in an array namespace.
ELEMENTARY = ("tanh", "exp", "log", "sqrt", "sin", "cos", "sinh", "cosh", "abs", "sign")
_RENAMED = ("Abs",)  # sympy prints it as abs
# Functions that are made of what every namespace has.
_COMPOSED: dict[str, Callable[..., Any]] = {
    "sigmoid": stable_sigmoid,
    "erf": array_erf,
    "relu": lambda x: array_namespace(x).where(x > 0, x, 0 * x),
    "hard_tanh": lambda x: array_namespace(x).where(
        array_namespace(x).abs(x) < 1, x, array_namespace(x).sign(x)
    ),
    "indicator": lambda x: array_namespace(x).where(x > 0, 0 * x + 1, 0 * x),
    "where_positive": lambda x, inside, outside: array_namespace(x).where(
        x > 0, 0 * x + inside, 0 * x + outside
    ),
}
COMPOSED = tuple(_COMPOSED)
# What may stand for them in an expression.
_REWRITTEN = (sp.Max, sp.Min, sp.Heaviside, sp.Piecewise, sp.sign)


@cache
def array_function(arguments: tuple[sp.Symbol, ...], expression: sp.Expr) -> Callable[..., Any]:
    """Turn a sympy expression into a function of arrays.

    The namespace is that of the arguments; an expression that is constant in them is returned as
    a number.

    Raises
    ------
    SpecificationError
        If the expression uses a function that arrays do not have.

    Examples
    --------
    >>> import numpy as np
    >>> x = sp.Symbol("x")
    >>> array_function((x,), sp.tanh(x) ** 2)(np.zeros(2))
    array([0., 0.])
    """
    expression = _writable(expression)
    compiled: dict[Any, Callable[..., Any]] = {}

    def evaluate(*arrays: Any) -> Any:
        xp = array_namespace(*arrays)
        if xp not in compiled:
            names: dict[str, Any] = {
                name: of_numbers_too(name, getattr(xp, name))
                for name in ELEMENTARY
                if hasattr(xp, name)
            }
            names.update(_COMPOSED)
            compiled[xp] = written_out(arguments, expression, names)
        return compiled[xp](*arrays)

    return evaluate


def written_out(
    arguments: tuple[sp.Symbol, ...], expression: sp.Expr, names: Mapping[str, Any]
) -> Callable[..., Any]:
    """Turn an expression into straight-line code that calls the functions of that name.

    Parameters
    ----------
    arguments, expression
        As in :func:`array_function`.
    names
        The functions of :data:`ELEMENTARY` and :data:`COMPOSED` by name.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> written_out((x,), sp.tanh(x) + 1, {"tanh": lambda x: 2 * x})(3)
    7
    """
    return sp.lambdify(arguments, _writable(expression), modules=[dict(names)], cse=_shared)


def _writable(expression: sp.Expr) -> sp.Expr:
    """Return an expression in functions that arrays have."""
    expression = sp.sympify(expression, strict=True)
    if expression.has(*_REWRITTEN):
        expression = in_pieces(expression)
    used = {function.func.__name__ for function in expression.atoms(sp.Function)}
    if unknown := sorted(used - {*COMPOSED, *ELEMENTARY, *_RENAMED}):
        known = ", ".join((*COMPOSED, *ELEMENTARY))
        raise SpecificationError(f"no array function for {', '.join(unknown)}: use {known}")
    return expression


def _shared(expression: sp.Expr) -> tuple[list[tuple[sp.Symbol, sp.Expr]], sp.Expr]:
    """Name what occurs several times; equal parts of sums and products are left alone.

    ``sympy.cse`` (1.14) looks for these too, and takes ``relu(b + c - 1/2)`` for
    ``relu(b (c - 1/2))`` beside a product ``(2 c - 1) / 2`` that is not multiplied out.
    """
    names = sp.numbered_symbols("_shared", cls=sp.Dummy)
    replacements, (reduced,) = tree_cse([expression], names)
    return replacements, reduced


def of_numbers_too(name: str, of_arrays: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays that maps Python numbers to Python numbers.

    The standard has no functions of numbers, and an array of one would decide on the precision.

    Examples
    --------
    >>> import numpy as np
    >>> of_numbers_too("tanh", np.tanh)(0)
    0.0
    """
    of_numbers = getattr(math, name, abs)

    def function(x: Any) -> Any:
        return of_numbers(x) if type(x) in (int, float) else of_arrays(x)

    return function if name != "sign" else of_arrays


@dataclass(frozen=True)
class StepDerivatives:
    """The diagonals of one step's Jacobian at the drawn sites.

    Keys are (row, column) indices into states and preactivations; entries that vanish
    identically are left out.  Each value is an array over sites or a number.
    """

    state: Mapping[tuple[int, int], Any]
    gate: Mapping[tuple[int, int], Any]
    source_state: Mapping[tuple[int, int], Any]
    source_gate: Mapping[tuple[int, int], Any]


@dataclass(frozen=True)
class CompiledCell:
    """A cell whose equations and derivatives evaluate on arrays over sites."""

    cell: Cell

    def source(self, k: int, states: Sequence[Any], gates: Sequence[Any]) -> Any:
        """Return y_k from the states and the preactivations before the k-th."""
        arguments = (*self.cell.states, *self.cell.gates[:k])
        return array_function(arguments, self.cell.sources[k])(*states, *gates[:k])

    def update(self, states: Sequence[Any], gates: Sequence[Any], x: Any) -> list[Any]:
        """Return the new states."""
        return list(self._all_updates(*states, *gates, x))

    @cached_property
    def _all_updates(self) -> Callable[..., Any]:
        # Together, so that what they have in common is computed once.
        return array_function(self.cell.site_symbols, sp.Tuple(*self.cell.updates))

    def derivatives(self, states: Sequence[Any], gates: Sequence[Any], x: Any) -> StepDerivatives:
        """Return the diagonals of the Jacobian of this step."""

        def table(entries: Table) -> dict[tuple[int, int], Any]:
            return {
                (i, j): array_function(self.cell.site_symbols, entry)(*states, *gates, x)
                for i, row in enumerate(entries)
                for j, entry in enumerate(row)
                if entry != 0
            }

        cell = self.cell
        return StepDerivatives(
            table(cell.state_derivatives),
            table(cell.gate_derivatives),
            table(cell.source_state_derivatives),
            table(cell.source_gate_derivatives),
        )


@cache
def compile_cell(cell: Cell) -> CompiledCell:
    """Return the cell's equations as functions on arrays.

    Raises
    ------
    SpecificationError
        If constants of the cell are symbols.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import vanilla
    >>> compile_cell(vanilla).update([np.ones(2)], [np.zeros(2)], np.ones(2))
    [array([0., 0.])]
    """
    if cell.constants:
        names = ", ".join(each.name for each in cell.constants)
        raise SpecificationError(f"{cell.name} needs numbers for {names}: give cell.at({{...}})")
    return CompiledCell(cell)
