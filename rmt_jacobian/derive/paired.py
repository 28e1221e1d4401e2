"""Theory on drawn sites: the moments of a product given the diagonals that were sampled.

At finite width the noise of the site variables dominates that of W.  Evaluated on the very sites
that were drawn, the theory differs from the sample only by the O(1/N) fluctuation of W.
"""

from dataclasses import dataclass
from typing import Any

from rmt_jacobian.arrays import array_namespace

__all__ = ["PairedMoments"]


@dataclass(frozen=True)
class PairedMoments:
    r"""First and second moment of M = J J^T, given the site diagonals of every step.

    With d the diagonal part of M and <.> the average over the drawn sites,

    .. math:: d' = A^2 d + \sigma_w^2 B^2 m_1, \qquad m_1 = \langle d \rangle,
              \qquad m_2 = \langle \Phi(1) \rangle

    where Phi(a), the diagonal part of M a M, is carried as a linear map on site vectors.  It stays
    diagonal plus a rank of twice the number of steps, so T steps cost O(T^2 N).

    Attributes
    ----------
    diagonal
        d, shape (N,).
    map_diagonal
        The diagonal part of Phi, shape (N,).
    map_left, map_right
        Phi(a) = map_diagonal * a + map_left @ mean(map_right * a); shape (N, rank).

    Notes
    -----
    Assumes fresh W at every step, bi-invariant and free from all diagonals; N -> infinity for W
    alone.  No assumption is made on the sites: they may depend on each other across steps.

    Examples
    --------
    >>> import numpy as np
    >>> A, B = np.full(4, 0.5), np.full(4, 2.0)
    >>> product = PairedMoments.identity(A).step(A, B, weight_variance=0.25, s_1=-1.0)
    >>> product.mean, product.second_moment
    (1.25, 3.0625)
    """

    diagonal: Any
    map_diagonal: Any
    map_left: Any
    map_right: Any

    @classmethod
    def identity(cls, like: Any) -> "PairedMoments":
        """Return the product of no steps; the array gives width and namespace."""
        xp = array_namespace(like)
        ones = xp.ones_like(like)
        nothing = xp.reshape(ones, (-1, 1))[:, :0]
        return cls(ones, ones, nothing, nothing)

    @property
    def mean(self) -> float:
        """m_1."""
        xp = array_namespace(self.diagonal)
        return float(xp.mean(self.diagonal))

    @property
    def second_moment(self) -> float:
        """m_2."""
        xp = array_namespace(self.diagonal)
        return float(xp.mean(self.apply(xp.ones_like(self.diagonal))))

    def apply(self, a: Any) -> Any:
        """Return Phi(a), the diagonal of M a M, for a diagonal matrix a."""
        xp = array_namespace(a)
        projections = xp.mean(self.map_right * a[:, None], axis=0)
        return self.map_diagonal * a + self.map_left @ projections

    def step(self, A: Any, B: Any, *, weight_variance: float, s_1: float) -> "PairedMoments":
        r"""Return the moments after one more step J' = (A + B W) J.

        Parameters
        ----------
        A, B
            The site diagonals of this step, shape (N,).
        weight_variance
            sigma_w^2.
        s_1
            Of the ensemble of W: -1 for Gaussian, 0 for orthogonal.
        """
        xp = array_namespace(self.diagonal)
        A2, b = A * A, weight_variance * B * B
        m_1, m_2 = self.mean, self.second_moment
        through_gate = A2 * self.apply(xp.ones_like(self.diagonal))
        # Phi' gains  through_gate <b a> + b <through_gate a> + c b <b a>,  symmetric in pairs.
        half = through_gate + (m_2 - (1 + s_1) * m_1 * m_1) / 2 * b
        left = xp.concat([A2[:, None] * self.map_left, b[:, None], half[:, None]], axis=1)
        right = xp.concat([A2[:, None] * self.map_right, half[:, None], b[:, None]], axis=1)
        map_diagonal = (
            A2 * A2 * self.map_diagonal + 2 * m_1 * A2 * b * self.diagonal + m_1 * m_1 * b * b
        )
        return PairedMoments(A2 * self.diagonal + m_1 * b, map_diagonal, left, right)
