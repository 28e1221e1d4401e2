"""Moments of a product from its factors, if they are free, or free over the diagonal matrices."""

from dataclasses import dataclass

import numpy as np

__all__ = ["DiagonalMoments", "FreeMoments"]


@dataclass(frozen=True)
class FreeMoments:
    r"""m_1 and m_2 of the product of free factors.

    Since :math:`S(z) = m_1^{-1} (1 - (m_2 / m_1^2 - 1) z + \cdots)` and S-transforms multiply,

    .. math::
        m_1 = \prod_t m_1^{(t)}, \qquad
        \frac{m_2}{m_1^2} - 1 = \sum_t \left( \frac{m_2^{(t)}}{(m_1^{(t)})^2} - 1 \right) .

    Attributes
    ----------
    mean
        m_1 of the product so far.
    excess
        m_2 / m_1^2 - 1.

    Notes
    -----
    Assumes that the :math:`J_t J_t^T` enter as free elements; N -> infinity.

    References
    ----------
    :cite:t:`Voiculescu1987`.

    Examples
    --------
    >>> FreeMoments().step(np.diag([1.0, 2.0])).step(np.eye(2)).second_moment
    8.5
    """

    mean: float = 1.0
    excess: float = 0.0

    @property
    def second_moment(self) -> float:
        """m_2."""
        return self.mean**2 * (1 + self.excess)

    def step(self, J: np.ndarray) -> "FreeMoments":
        """Return the moments after one more factor J, shape (N, N)."""
        square = J @ J.T
        first, second = np.trace(square) / len(J), np.vdot(square, square) / len(J)
        return FreeMoments(float(self.mean * first), float(self.excess + second / first**2 - 1))


@dataclass(frozen=True)
class DiagonalMoments:
    r"""m_1 and m_2 of a product whose factors are free with amalgamation over the diagonal.

    Let :math:`M = P P^T` be free over the diagonal matrices D from the next factor J, with
    :math:`d = E_D[M]` and the map :math:`F(a) = E_D[M a M]`.  Of the words in :math:`M - d` and the
    centred letters of J, those that alternate have expectation 0, and there remain

    .. math::
        d' = E_D[J d J^T], \qquad
        F'(a) = E_D[J d J^T a J d J^T] + E_D\bigl[J \, (F(y) - d y d) \, J^T\bigr], \qquad
        y = E_D[J^T a J] .

    In the limit the expectation of a word is its diagonal, so that with the matrix H of the
    :math:`J_{ij}^2`, the matrix K of the :math:`(J d J^T)_{ij}^2` and F as a matrix on site vectors

    .. math:: d' = H d, \qquad F' = K + H (F - \mathrm{diag}(d^2)) H^T, \qquad
              m_1 = \langle d \rangle, \qquad m_2 = \langle F(1) \rangle .

    Attributes
    ----------
    diagonal
        d, shape (N,).
    squares
        F, shape (N, N).

    Notes
    -----
    Nothing is fitted, and no form of J is assumed.  For :math:`J = A + B W` with bi-invariant W the
    map is that of :class:`~rmt_jacobian.derive.PairedMoments` up to O(1/N).  A step costs three
    products of matrices.  Assumes N -> infinity: at finite N there are corrections of relative
    size T/N.

    References
    ----------
    :cite:t:`MingoSpeicher2017`, chapter 9, for freeness with amalgamation; the map is ours.

    Examples
    --------
    Diagonal factors are free over the diagonal, and not free:

    >>> gate = np.diag([1.0, 2.0])
    >>> DiagonalMoments.identity(2).step(gate).step(gate).second_moment  # (1 + 2^8) / 2
    128.5
    >>> round(FreeMoments().step(gate).step(gate).second_moment, 4)
    67.1875
    """

    diagonal: np.ndarray
    squares: np.ndarray

    @classmethod
    def identity(cls, width: int) -> "DiagonalMoments":
        """Return the product of no factors."""
        return cls(np.ones(width), np.eye(width))

    @property
    def mean(self) -> float:
        """m_1."""
        return float(self.diagonal.mean())

    @property
    def second_moment(self) -> float:
        """m_2."""
        return float(self.squares.sum()) / len(self.diagonal)

    def step(self, J: np.ndarray) -> "DiagonalMoments":
        """Return the moments after one more factor J, shape (N, N)."""
        H, K = J * J, (J * self.diagonal) @ J.T
        carried = self.squares - np.diag(self.diagonal**2)
        return DiagonalMoments(H @ self.diagonal, K * K + H @ carried @ H.T)
