"""Products of Jacobians over many steps, their spectra and their moments."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.linalg import blas

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling.networks.network import NetworkStep

__all__ = ["jacobian_products", "product_moments", "singular_values"]

_IN_CACHE = 1 << 19  # numbers of a state that are worked on at a time on the CPU
_FEWEST = 256  # columns; below that products are slow


def jacobian_products(
    run: Iterator[NetworkStep], at_steps: Sequence[int]
) -> Iterator[tuple[int, NetworkStep, Any]]:
    """Multiply the Jacobians of a run, latest on the left.

    Parameters
    ----------
    run
        The steps of a network.
    at_steps
        Numbers of steps T at which the product is wanted.

    Yields
    ------
    tuple
        (t, the t-th step, the product J_t ... J_1, or None where t is not in ``at_steps``); with
        n states the product has shape (n N, n N).

    Raises
    ------
    ParameterError
        If a number of steps is below 1, or the run is shorter than the largest of them.
    """
    for steps in at_steps:
        check_counts(steps=steps)
    parts: list[list[Any]] | None = None
    t = 0
    for t, step in enumerate(run, start=1):
        if parts is None:
            parts = _identity(step)
        parts = [step.times(blocks) for blocks in parts]
        yield t, step, _joined(parts) if t in at_steps else None
        if t == max(at_steps):
            return
    raise ParameterError(f"the run has {t} steps, but {max(at_steps)} are wanted")


def _identity(step: NetworkStep) -> list[list[Any]]:
    """Return the identity on all states in parts of a few columns, each with a row block a state.

    On the CPU parts are as wide as its cache allows: passes over them then cost little beside the
    product with W.
    """
    xp = array_namespace(step.x)
    states, width = len(step.states), step.x.shape[0]
    whole = xp.eye(states * width, dtype=step.x.dtype)
    on_cpu = isinstance(step.x, np.ndarray)
    at_once = max(_FEWEST, _IN_CACHE // width) if on_cpu else states * width
    return [
        [whole[i * width : (i + 1) * width, start : start + at_once] for i in range(states)]
        for start in range(0, states * width, at_once)
    ]


def _joined(parts: list[list[Any]]) -> Any:
    xp = array_namespace(parts[0][0])
    columns = [xp.concat(blocks) for blocks in parts]
    return xp.concat(columns, axis=1) if len(columns) > 1 else columns[0]


def product_moments(product: Any) -> tuple[float, float]:
    r"""Return :math:`m_k = \frac1N \mathrm{tr} (J J^T)^k` for k = 1, 2.

    Examples
    --------
    >>> product_moments(2 * np.eye(3))
    (4.0, 16.0)
    """
    width = product.shape[0]
    if isinstance(product, np.ndarray) and product.dtype == np.float64:
        # Half the work of a full product: only one triangle of J J^T is computed.
        triangle = blas.dsyrk(1.0, product)
        diagonal = triangle.diagonal()
        off = float(np.vdot(triangle, triangle)) - float(diagonal @ diagonal)
        return float(diagonal.sum()) / width, (2 * off + float(diagonal @ diagonal)) / width
    xp = array_namespace(product)
    # Scaled, so that single precision does not overflow; sums are taken in double precision.
    peak = float(xp.max(xp.abs(product)))
    if peak == 0:
        return 0.0, 0.0
    scaled = product / peak
    square = scaled @ scaled.T
    first = float(xp.sum(scaled * scaled, dtype=xp.float64)) / width
    second = float(xp.sum(square * square, dtype=xp.float64)) / width
    return peak**2 * first, peak**4 * second


def singular_values(product: Any) -> Any:
    """Return the singular values, largest first; shape (n N,).

    Examples
    --------
    >>> singular_values(np.diag([1.0, 3.0]))
    array([3., 1.])
    """
    return array_namespace(product).linalg.svdvals(product)
