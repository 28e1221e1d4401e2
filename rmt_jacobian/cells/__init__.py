"""Recurrent cells, one a file, as symbolic equations."""

from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells.activations import (
    ACTIVATIONS,
    activation_name,
    activation_named,
    hard_tanh,
    relu,
    sigmoid,
    spelled,
)
from rmt_jacobian.cells.gru import gru, gru_cell, gru_reset_after, gru_reset_after_cell
from rmt_jacobian.cells.leaky import leaky, leaky_cell
from rmt_jacobian.cells.lstm import lstm, lstm_cell, lstm_peephole
from rmt_jacobian.cells.minimalrnn import minimalrnn
from rmt_jacobian.cells.numeric import (
    CompiledCell,
    StepDerivatives,
    array_function,
    compile_cell,
)
from rmt_jacobian.cells.parameters import BiasKind, Parameters, PreactivationParameters
from rmt_jacobian.cells.specification import Cell, Constant, Preactivation, derivative
from rmt_jacobian.cells.vanilla import vanilla, vanilla_cell
from rmt_jacobian.errors import ParameterError

__all__ = [
    "ACTIVATIONS",
    "CELL_NAMES",
    "BiasKind",
    "Cell",
    "CompiledCell",
    "Constant",
    "Parameters",
    "Point",
    "Preactivation",
    "PreactivationParameters",
    "StepDerivatives",
    "activation_named",
    "array_function",
    "cell_and_parameters",
    "cell_named",
    "compile_cell",
    "derivative",
    "gru",
    "gru_cell",
    "gru_reset_after",
    "gru_reset_after_cell",
    "hard_tanh",
    "leaky",
    "leaky_cell",
    "lstm",
    "lstm_cell",
    "lstm_peephole",
    "minimalrnn",
    "relu",
    "sigmoid",
    "vanilla",
    "vanilla_cell",
]

_CELLS = {
    cell.name: cell
    for cell in (minimalrnn, vanilla, leaky, gru, gru_reset_after, lstm, lstm_peephole)
}
CELL_NAMES = tuple(_CELLS)
"""The names of the cells that come with the package."""

_FACTORIES = {
    "vanilla": vanilla_cell,
    "leaky": leaky_cell,
    "gru": gru_cell,
    "gru-reset-after": gru_reset_after_cell,
    "lstm": lstm_cell,
    "lstm-peephole": partial(lstm_cell, peephole=True),
}


_OTHER_SPELLINGS = {
    "minimal-rnn": "minimalrnn",
    "rnn": "vanilla",
    "elman": "vanilla",
    "simple-rnn": "vanilla",
}


@named_arguments
def cell_named(name: str | Cell) -> Cell:
    """Return one of the cells that come with the package, with an activation if one is named.

    Parameters
    ----------
    name
        ``"gru"``, or ``"gru:relu"`` for a GRU whose candidate goes through a rectifier; in upper
        or lower case, with hyphens or underscores.  A cell is returned as it is.

    Raises
    ------
    ParameterError
        If there is no such cell or activation, or its activation cannot be chosen.

    Examples
    --------
    >>> cell_named("vanilla").updates
    (tanh(e),)
    >>> cell_named("vanilla:hard-tanh").updates
    (hard_tanh(e),)
    >>> cell_named("GRU_reset_after").name, cell_named("RNN:linear").name
    ('gru-reset-after', 'vanilla:identity')
    """
    if isinstance(name, Cell):
        return name
    if not isinstance(name, str):
        raise ParameterError(
            f"a cell must be one of rmt_jacobian or its name, such as 'gru', not {repr(name)[:60]}"
        )
    first, colon, activation = str(name).partition(":")
    plain = spelled("cell", first, _CELLS, _OTHER_SPELLINGS)
    if not colon:
        return _CELLS[plain]
    if plain not in _FACTORIES:
        raise ParameterError(f"{plain} has no activation to choose: leave out {':' + activation!r}")
    activation = activation_name(activation)
    return _FACTORIES[plain](activation, name=f"{plain}:{activation}")


Point: TypeAlias = Parameters | Mapping[str, float] | None
"""Hyperparameters, or some of them by name; the cell's typical ones are the rest."""


def cell_and_parameters(cell: Cell | str, parameters: Point = None) -> tuple[Cell, Parameters]:
    """Return a cell that may be named, and hyperparameters of which some may be given.

    Raises
    ------
    ParameterError
        If a name is unknown, or the parameters are of another cell.

    Examples
    --------
    >>> cell, parameters = cell_and_parameters("vanilla", {"weight_std": 1.5})
    >>> cell.name, parameters.only.weight_std
    ('vanilla', 1.5)
    >>> cell_and_parameters("leaky", {"leak": 0.25})[0].updates  # constants are numbers
    (e/4 + 3*h/4,)
    """
    cell = cell_named(cell)
    if not isinstance(parameters, Parameters):
        parameters = Parameters.of(cell, parameters)
    parameters.check_cell(cell)
    return cell.at(parameters.constants), parameters
