"""Initialisations, per gate, of cells of Flax and Equinox."""

from typing import Any

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Parameters
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.jax.layers import jax_cell
from rmt_jacobian.networks.drawn import NumpyDraws
from rmt_jacobian.networks.initialized import STEPS, InitializedModule, Scheme, initialize_layers
from rmt_jacobian.networks.libraries import library

__all__ = ["initialize"]


@named_arguments
def initialize(
    cell: Any,
    key: Any,
    scheme: Scheme | Parameters = "critical",
    *,
    weights: str = "orthogonal",
    input_variance: float = 1.0,
    steps: int = STEPS,
) -> tuple[Any, InitializedModule]:
    r"""Return a cell of Flax or Equinox with new numbers, and what that does to gradients.

    Parameters
    ----------
    cell
        As in :func:`network`: a module or the parameters of one. It stays as it is.
    key
        A key of ``jax.random``.
    scheme, weights, input_variance, steps
        As in :func:`rmt_jacobian.torch.initialize_`.

    Returns
    -------
    tuple
        A module or a tree of the same structure and precision, and the report.

    Notes
    -----
    Numbers are drawn on the host, in double precision, from a generator of NumPy whose seed is the
    key. This is not to be called inside ``jax.jit``.

    Raises
    ------
    ParameterError
        If the cell, the key or the scheme is of another kind, no critical point is kept for it, or
        it has no place for a bias.

    Examples
    --------
    >>> import jax
    >>> from flax import linen
    >>> cell, x = linen.GRUCell(64), jax.numpy.zeros(8)
    >>> params = cell.init(jax.random.key(0), jax.numpy.zeros(64), x)
    >>> params, report = initialize(params, jax.random.key(1))
    >>> bool(report.layers[0].before < 0.6), bool(abs(report.growth_rate - 1) < 0.05)
    (True, True)
    """
    place = jax_cell(cell)
    draw = NumpyDraws(np.random.default_rng(_words(key)))
    report, (new,) = initialize_layers(
        [place], scheme, weights=weights, input_variance=input_variance, steps=steps, draw=draw
    )
    return new.given, report


def _words(key: Any) -> list[int]:
    """Return the words of a key, of the new kind or of the former one."""
    jax = library("jax", "JAX")
    dtype = getattr(key, "dtype", None)
    if dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    if isinstance(key, jax.core.Tracer):
        raise ParameterError("initialize draws on the host: call it outside of jax.jit")
    if not isinstance(key, jax.Array | np.ndarray) or key.ndim != 1 or key.dtype != np.uint32:
        raise ParameterError(f"key must be one key, such as jax.random.key(0), not {key!r}")
    return [int(word) for word in np.asarray(key)]
