"""Which hyperparameters change nothing at a point, and why."""

from collections.abc import Collection

import sympy as sp

from rmt_jacobian.cells.parameters import Parameters
from rmt_jacobian.cells.specification import Cell

__all__ = ["idle", "set_by", "unread"]

_INPUT = "input_variance"


def idle(cell: Cell, parameters: Parameters, names: Collection[str]) -> dict[str, str]:
    r"""Return those of some names that change nothing, and why.

    .. math:: q = \sigma_w^2 E[y^2] + \sigma_v^2 R + \sigma_b^2

    Parameters
    ----------
    cell, parameters
        The point.
    names
        Of hyperparameters that were set together, ``"weight_std"`` for all groups or
        ``"group.weight_std"`` for one, which has the last word; and ``"input_variance"``.

    Returns
    -------
    dict
        Reasons by name: without inputs, V; without any V, the variance of inputs that no update
        reads; and a name for all groups where each has its own.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn, vanilla
    >>> silent = Parameters.of(vanilla, input_std=2, input_variance=0)
    >>> idle(vanilla, silent, ["weight_std", "input_std"])
    {'input_std': 'input_variance is 0'}
    >>> idle(vanilla, silent.with_values(input_std=0), ["input_variance"])
    {'input_variance': 'input_std is 0'}
    >>> idle(minimalrnn, Parameters.of(minimalrnn, input_std=0), ["input_variance"])
    {}
    """
    found = {}
    for name in names:
        if reason := _reason(cell, parameters, name, names):
            found[name] = reason
    return found


def set_by(cell: Cell, name: str) -> tuple[str, ...]:
    """Return what a name sets, group by group.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> set_by(gru, "bias_mean"), set_by(gru, "reset.bias_mean")
    (('update.bias_mean', 'reset.bias_mean', 'candidate.bias_mean'), ('reset.bias_mean',))
    >>> from rmt_jacobian.cells import leaky
    >>> set_by(leaky, "leak")
    ('leak',)
    """
    constants = {each.name for each in (cell.symbolic or cell).constants}
    if name == _INPUT or "." in name or name in constants:
        return (name,)
    return tuple(
        f"{each.name}.{name}"
        for each in cell.preactivations
        if not (name == "weight_std" and not each.reads_state)
        if not (name == "input_std" and not each.reads_input)
    )


def unread(cell: Cell, parameters: Parameters) -> set[str]:
    """Return the names of preactivations that no new state depends on.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> unread(gru, Parameters.of(gru)), unread(gru, Parameters.of(gru, weight_std=0))
    (set(), {'reset'})
    """
    read = _read_by(cell)
    for each in reversed(cell.preactivations):  # sources read earlier ones only
        if each.symbol in read and parameters[each.name].weight_std > 0:
            read |= each.source.free_symbols
    return {each.name for each in cell.preactivations if each.symbol not in read}


def _reason(cell: Cell, parameters: Parameters, name: str, names: Collection[str]) -> str:
    own = set_by(cell, name)
    if own != (name,) and all(each in names for each in own):
        return f"{', '.join(own)} have the last word" if own[1:] else f"{own[0]} has the last word"
    if name == _INPUT:
        return _why_no_input_is_seen(cell, parameters)
    if name.endswith("input_std") and parameters.input_variance == 0:
        return f"{_INPUT} is 0"
    return ""


def _why_no_input_is_seen(cell: Cell, parameters: Parameters) -> str:
    if cell.input in _read_by(cell) or any(group.input_std > 0 for _, group in parameters.groups):
        return ""
    return "every input_std is 0" if len(parameters.groups) > 1 else "input_std is 0"


def _read_by(cell: Cell) -> set[sp.Basic]:
    """Return the symbols that new states are functions of."""
    return set().union(*(update.free_symbols for update in cell.updates))
