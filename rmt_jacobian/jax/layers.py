"""Cells of Flax and Equinox as networks: measured as they are, in double precision."""

from typing import Any, TypeAlias

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.jax.equinox_cells import EquinoxCell, equinox_cell
from rmt_jacobian.jax.flax_linen import LinenCell, linen_cell
from rmt_jacobian.jax.flax_nnx import NnxCell, nnx_cell
from rmt_jacobian.networks import Network

__all__ = ["JaxCell", "jax_cell", "network"]

JaxCell: TypeAlias = LinenCell | NnxCell | EquinoxCell


@named_arguments
def network(cell: Any) -> Network:
    r"""Return a cell of Flax or Equinox as a network.

    Parameters
    ----------
    cell
        A ``GRUCell``, ``LSTMCell``, ``OptimizedLSTMCell`` or ``SimpleCell`` of ``flax.nnx``, a
        ``GRUCell`` or ``LSTMCell`` of ``equinox.nn``, or the parameters of one of ``flax.linen``:
        the tree of its gates, alone or under keys of their own such as ``"params"``.

    Notes
    -----
    All of these GRUs reset after the product, and keep the state where the update gate z is 1.
    ``candidate`` has the bias that the reset gate multiplies, ``bias_n`` of Equinox, that of
    ``hn`` in linen, none in nnx; ``candidate_input`` the other.

    Parameters of linen do not say which activations their cell has: those by default are taken,
    and no residual. Those of modules are looked at.

    Raises
    ------
    ParameterError
        If it is none of these, has other activations, or holds no numbers.

    Examples
    --------
    >>> import jax
    >>> from flax import linen
    >>> cell, x = linen.GRUCell(8), jax.numpy.zeros(5)
    >>> params = cell.init(jax.random.key(0), jax.numpy.zeros(8), x)
    >>> network(params)
    <network of 8 gru-reset-after units, 5 inputs>
    """
    found = jax_cell(cell)
    return found.arrays().network(found.cell, found.names)


def jax_cell(given: Any) -> JaxCell:
    """Return where the numbers of a cell stand.

    Raises
    ------
    ParameterError
        If it is of another kind.
    """
    for known in (nnx_cell, equinox_cell, linen_cell):
        found = known(given)
        if found is not None:
            return found
    name = type(given).__name__
    if type(given).__module__.startswith("flax.linen"):
        raise ParameterError(f"a {name} of linen holds no numbers: give its parameters")
    inside = " (its cell)" if hasattr(given, "cell") else ""
    raise ParameterError(
        "this takes a GRUCell, LSTMCell, OptimizedLSTMCell or SimpleCell of flax.nnx, a GRUCell or "
        "LSTMCell of equinox.nn, or the parameters of one of flax.linen, not "
        f"{name}: give the cell inside it{inside}"
    )
