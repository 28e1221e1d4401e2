"""The largest and the smallest singular values of a product that is never formed."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, svds

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.sampling.matrix_free.product import JacobianProduct

__all__ = ["ExtremeSingularValues", "extreme_singular_values"]


@dataclass(frozen=True)
class ExtremeSingularValues:
    """Some singular values of a product, with their vectors.

    Attributes
    ----------
    values
        In decreasing order, shape (count,).
    errors
        Bounds: a singular value lies within this distance of each.
    left, right
        Singular vectors in their columns, shape (dN, count).
    """

    values: np.ndarray
    errors: np.ndarray
    left: np.ndarray
    right: np.ndarray


def extreme_singular_values(
    product: JacobianProduct,
    count: int = 1,
    *,
    which: Literal["largest", "smallest"] = "largest",
    tolerance: float = 1e-10,
    most_iterations: int | None = None,
    seed: Seed = 0,
) -> ExtremeSingularValues:
    r"""Return the largest or the smallest singular values, by implicitly restarted Lanczos.

    Parameters
    ----------
    product
        J.
    count
        How many, less than dN.
    which
        Which end of the spectrum.
    tolerance
        Relative, of the squares.
    most_iterations
        Restarts of ARPACK, by default 10 dN.
    seed
        Of the vector that it starts from.

    Notes
    -----
    A unit pair u, v with :math:`|J v - s u|^2 + |J^T u - s v|^2 = 2 \epsilon^2` has a singular
    value within :math:`\epsilon` of s; this is the bound that is returned, computed from the pair.
    That no larger one was missed is not proved, and unlikely from a random start.

    ARPACK sees :math:`J^T J`: of values below about 1e-8 of the largest, as products of many steps
    have, only that they are small is found, and the bound says so.  Those are had from
    :func:`.log_singular_values` at smaller width.

    Raises
    ------
    ParameterError
        If ``count`` or ``which`` is out of its domain.
    ConvergenceError
        If the iteration did not converge.

    References
    ----------
    :cite:t:`Parlett1998`, section 4.5, for the residual.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.sampling import run_network
    >>> run = run_network(vanilla, Parameters.of(vanilla), weights="fast-orthogonal", width=256,
    ...                   steps=2, rng=np.random.default_rng(0))
    >>> found = extreme_singular_values(JacobianProduct.of(run), 2)
    >>> bool(found.values[0] > found.values[1] > 1), bool(found.errors.max() < 1e-6)
    (True, True)
    """
    if not 1 <= count < product.dimension:
        raise ParameterError(
            f"count must be from 1 to {product.dimension - 1}, one less than the number of "
            f"singular values, not {count}"
        )
    ends = {"largest": "LM", "smallest": "SM"}
    if which not in ends:
        raise ParameterError(f"unknown end {which!r}: use 'largest' or 'smallest'")
    operator = product.linear_operator()
    start = generator(seed).standard_normal(product.dimension).astype(operator.dtype)
    try:
        left, values, right = svds(
            operator, count, which=ends[which], tol=tolerance, maxiter=most_iterations, v0=start,
            solver="arpack",
        )  # fmt: skip
    except ArpackNoConvergence as error:
        raise ConvergenceError(
            f"the {which} singular values did not converge: allow more iterations or a larger "
            "tolerance, or take them from log_singular_values at smaller width"
        ) from error
    order = np.argsort(-values)
    left, values, right = left[:, order], values[order], right.T[:, order]
    errors = np.hypot(
        np.linalg.norm(operator.matmat(right) - left * values, axis=0),
        np.linalg.norm(operator.rmatmat(left) - right * values, axis=0),
    )
    lengths = np.hypot(np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=0))
    return ExtremeSingularValues(values, errors / lengths, left, right)
