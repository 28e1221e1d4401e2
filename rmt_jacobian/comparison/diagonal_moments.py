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

    In the limit the expectation of a word is its diagonal, so that with the matrix H(J) of the
    :math:`J_{ij}^2` and F as a matrix on site vectors

    .. math:: d' = H(J) d, \qquad F' = H(J d J^T) + H(J) (F - H(d)) H(J)^T, \qquad
              m_1 = \langle d \rangle, \qquad m_2 = \langle F(1) \rangle .

    For a cell of several states, D are the matrices that mix the states of a site but no sites:
    d is a symmetric matrix at every site, and H(J) the matrix of :math:`a \mapsto E_D[J a J^T]` in
    an orthonormal basis of the symmetric ones.

    Attributes
    ----------
    diagonal
        d, shape (states, states, N).
    squares
        F, of order N states (states + 1) / 2.

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

    So are all matrices over the matrices of a single site with as many states:

    >>> J = np.array([[1.0, 2.0], [0.0, 1.0]])
    >>> round(DiagonalMoments.identity(1, states=2).step(J).step(J).second_moment, 9)  # tr / 2
    161.0
    """

    diagonal: np.ndarray
    squares: np.ndarray

    @classmethod
    def identity(cls, width: int, states: int = 1) -> "DiagonalMoments":
        """Return the product of no factors, of N = ``width`` sites."""
        diagonal = np.eye(states)[:, :, None] * np.ones(width)
        return cls(diagonal, np.eye(len(_pairs(states)) * width))

    @property
    def states(self) -> int:
        """The number of states of a site."""
        return len(self.diagonal)

    @property
    def mean(self) -> float:
        """m_1."""
        return float(np.einsum("iin->n", self.diagonal).mean()) / self.states

    @property
    def second_moment(self) -> float:
        """m_2."""
        pairs, width = _pairs(self.states), self.diagonal.shape[2]
        equal = np.repeat([i == j for i, j in pairs], width)
        return float(self.squares[np.ix_(equal, equal)].sum()) / (self.states * width)

    def step(self, J: np.ndarray) -> "DiagonalMoments":
        """Return the moments after one more factor J, shape (states N, states N)."""
        H = _site_map(J, self.states)
        through = times_site_matrices(J, self.diagonal) @ J.T
        carried = self.squares - _site_map_of_diagonal(self.diagonal)
        return DiagonalMoments(
            site_matrices(through, self.states), _site_map(through, self.states) + H @ carried @ H.T
        )


def site_matrices(M: np.ndarray, states: int) -> np.ndarray:
    """Return E_D[M], the matrix of every site; shape (states, states, N)."""
    return np.ascontiguousarray(np.einsum("injn->ijn", _blocks(M, states)))


def times_site_matrices(M: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return M d for d of shape (states, states, N)."""
    states = len(d)
    product = np.einsum("injm,jkm->inkm", _blocks(M, states), d)
    return product.reshape(M.shape)


def _blocks(M: np.ndarray, states: int) -> np.ndarray:
    """Return M as an array of row state, row site, column state and column site."""
    width = len(M) // states
    return M.reshape(states, width, states, width)


def _pairs(states: int) -> list[tuple[int, int]]:
    """Return the pairs of states that a basis of the symmetric matrices has."""
    return [(i, j) for i in range(states) for j in range(i, states)]


def _site_map(X: np.ndarray, states: int) -> np.ndarray:
    """Return a -> E_D[X a X^T] on symmetric site matrices, in an orthonormal basis."""
    blocks, pairs = _blocks(X, states), _pairs(states)

    def entry(i: int, j: int, p: int, q: int) -> np.ndarray:
        same = blocks[i, :, p] * blocks[j, :, q]
        if p != q and i != j:
            return same + blocks[i, :, q] * blocks[j, :, p]
        return same if (p == q) == (i == j) else np.sqrt(2) * same

    return np.block([[entry(i, j, p, q) for p, q in pairs] for i, j in pairs])


def _site_map_of_diagonal(d: np.ndarray) -> np.ndarray:
    """Return a -> d a d."""
    states, _, width = d.shape
    whole = np.einsum("ijn,nm->injm", d, np.eye(width)).reshape(states * width, -1)
    return _site_map(whole, states)
