"""Recurrent cells, one a file, as symbolic equations."""

from difflib import get_close_matches

from rmt_jacobian.cells.activations import sigmoid
from rmt_jacobian.cells.minimalrnn import minimalrnn
from rmt_jacobian.cells.numeric import CompiledCell, array_function, compile_cell
from rmt_jacobian.cells.parameters import Parameters, PreactivationParameters
from rmt_jacobian.cells.specification import Cell, Preactivation, derivative
from rmt_jacobian.cells.vanilla import vanilla
from rmt_jacobian.errors import ParameterError

__all__ = [
    "Cell",
    "CompiledCell",
    "Parameters",
    "Preactivation",
    "PreactivationParameters",
    "array_function",
    "cell_named",
    "compile_cell",
    "derivative",
    "minimalrnn",
    "sigmoid",
    "vanilla",
]

_CELLS = {cell.name: cell for cell in (minimalrnn, vanilla)}


def cell_named(name: str) -> Cell:
    """Return one of the cells that come with the package.

    Raises
    ------
    ParameterError
        If there is no such cell.

    Examples
    --------
    >>> cell_named("vanilla").updates
    (tanh(e),)
    """
    if name not in _CELLS:
        close = get_close_matches(name, _CELLS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(_CELLS)}"
        raise ParameterError(f"unknown cell {name!r}: {hint}")
    return _CELLS[name]
