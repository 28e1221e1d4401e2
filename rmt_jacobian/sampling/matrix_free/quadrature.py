r"""Gauss quadrature of the measure that a vector sees of a positive matrix.

A vector v weighs the eigenvalues :math:`\lambda_i` of M with eigenvectors :math:`u_i` as

.. math:: \Psi(x) = \sum_{\lambda_i \le x} \frac{(u_i \cdot v)^2}{|v|^2} .

For a random sign vector its mean is the fraction of the eigenvalues up to x.  After k steps the
Lanczos coefficients are those of the orthonormal polynomials of this measure, so that its moments
are known exactly up to order 2k, and nothing else is.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh_tridiagonal

from rmt_jacobian.sampling.matrix_free.lanczos import Tridiagonal

__all__ = ["GaussQuadrature"]

_RULES = 24  # one-parameter family of rules: points at which the bounds are sharp, for each node


@dataclass(frozen=True, eq=False)
class GaussQuadrature:
    r"""What k Lanczos steps say about the measure of one vector.

    Parameters
    ----------
    coefficients
        Of the recurrence.

    Notes
    -----
    With the orthonormal polynomials :math:`p_0, \ldots, p_k` of the measure, and over all measures
    with the same moments up to order 2k,

    .. math::
        L(x) \le \Psi(x^-) \le \Psi(x) \le U(x), \qquad
        U(x) - L(x) = \frac{1}{\sum_{j=0}^{k} p_j(x)^2},

    where L(x) adds up the weights below x of the one rule of k + 1 nodes that has x as a node.
    These are the Chebyshev-Markov-Stieltjes inequalities, and no measure with these moments is left
    out by them.  The bounds assume exact arithmetic.

    References
    ----------
    :cite:t:`GolubMeurant2010`, chapter 6; :cite:t:`ChenTrogdonUbaru2021`, for the bounds at the
    Gauss nodes; :cite:t:`Akhiezer1965`, chapter 2.

    Examples
    --------
    >>> from rmt_jacobian.sampling.matrix_free.lanczos import lanczos_recurrences
    >>> M = np.diag([1.0, 2.0, 4.0])
    >>> (found,) = lanczos_recurrences(lambda v: M @ v, np.ones(3), 3)
    >>> measure = GaussQuadrature(found)
    >>> measure.nodes.round(6), measure.weights.round(6)
    (array([1., 2., 4.]), array([0.333333, 0.333333, 0.333333]))
    """

    coefficients: Tridiagonal

    @property
    def steps(self) -> int:
        """K."""
        return self.coefficients.steps

    @cached_property
    def _rule(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        c = self.coefficients
        nodes, vectors = eigh_tridiagonal(c.diagonal, c.off_diagonal[:-1])
        return nodes, vectors[0] ** 2, np.abs(vectors[-1]) * c.off_diagonal[-1]

    @property
    def nodes(self) -> np.ndarray:
        """The k nodes, in increasing order."""
        return self._rule[0]

    @property
    def weights(self) -> np.ndarray:
        """Their weights, of sum 1."""
        return self._rule[1]

    @property
    def residuals(self) -> np.ndarray:
        """How far an eigenvalue of M is from each node at most."""
        return self._rule[2]

    def moments(self, order: int) -> np.ndarray:
        r"""Return :math:`v^T M^j v / |v|^2` for j = 0, ..., order.

        Raises
        ------
        ValueError
            If the order is above 2k, where k steps determine no moment; those of an exhausted
            recurrence are all known.
        """
        if order > 2 * self.steps and not self.coefficients.exhausted:
            raise ValueError(f"{self.steps} Lanczos steps give 2 x {self.steps} moments only")
        nodes, weights = (self.nodes, self.weights) if order < 2 * self.steps else self._extended(0)
        return np.array([weights @ nodes**j for j in range(order + 1)])

    def _extended(self, offset: float) -> tuple[np.ndarray, np.ndarray]:
        """Return a rule of k + 1 nodes, exact to order 2k."""
        c = self.coefficients
        if c.exhausted:
            return self.nodes, self.weights
        last = float(c.diagonal.mean()) + offset
        nodes, vectors = eigh_tridiagonal(np.append(c.diagonal, last), c.off_diagonal)
        return nodes, vectors[0] ** 2

    @cached_property
    def _sharp(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points in increasing order, and the bounds below and above at each of them.

        The last diagonal entry of the rules of k + 1 nodes is free; as it runs over the line every
        node but the outer two runs over one gap of the Gauss nodes.
        """
        phases = (np.arange(_RULES) + 0.5) / _RULES - 0.5
        offsets = float(self.coefficients.off_diagonal[-1]) * np.tan(np.pi * phases)
        rules = [self._extended(offset) for offset in offsets]
        points = np.concatenate([nodes for nodes, _ in rules])
        above = np.concatenate([np.cumsum(weights) for _, weights in rules])
        below = above - np.concatenate([weights for _, weights in rules])
        order = np.argsort(points)
        # The bounds increase with x; rounding may say otherwise in the last digit.
        lower = np.maximum.accumulate(below[order])
        upper = np.minimum.accumulate(above[order][::-1])[::-1]
        return points[order], lower, upper

    def bounds(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r"""Return L and U with :math:`L \le \Psi(x^-) \le \Psi(x) \le U`.

        Parameters
        ----------
        x
            Points of any shape.

        Notes
        -----
        Between the points where the bounds were computed, 24 for every node, those of the next one
        on the safe side are taken.  Points below 0 have no mass below them, as M is positive.
        """
        x = np.asarray(x, dtype=float)
        if self.coefficients.exhausted:
            cumulated = np.concatenate([[0.0], np.cumsum(self.weights)])
            slack = 1e-12 * np.abs(self.nodes).max()  # nodes are known to rounding only
            lower = cumulated[np.searchsorted(self.nodes, x - slack, side="left")]
            upper = cumulated[np.searchsorted(self.nodes, x + slack, side="right")]
            return lower, upper
        points, lower, upper = self._sharp
        lower = np.concatenate([[0.0], lower])[np.searchsorted(points, x, side="right")]
        upper = np.append(upper, 1.0)[np.searchsorted(points, x, side="left")]
        return np.where(x <= 0, 0.0, lower), np.where(x < 0, 0.0, upper)

    def middle(self, x: np.ndarray) -> np.ndarray:
        """Return the middle of the bounds, interpolated: an estimate of Psi(x) without jumps."""
        x = np.asarray(x, dtype=float)
        if self.coefficients.exhausted:
            below, above = self.bounds(x)
            return (below + above) / 2
        points, lower, upper = self._sharp
        return np.where(x < 0, 0.0, np.interp(x, points, (lower + upper) / 2, left=0.0, right=1.0))

    def cosine_moments(self, scale: float, order: int) -> np.ndarray:
        r"""Return :math:`\int \cos(j \varphi)\, d\Psi` for j = 0, ..., order.

        .. math:: x = \mathrm{scale} \, (1 + \cos \varphi) / 2

        They are moments of Chebyshev polynomials on [0, scale], exact up to order 2k - 1.

        Raises
        ------
        ValueError
            If a node lies outside.
        """
        if self.nodes[-1] > scale:
            raise ValueError(f"a node lies at {self.nodes[-1]}, above the scale {scale}")
        nodes = np.clip(self.nodes, 0.0, None)
        phi = 2 * np.arccos(np.sqrt(nodes / scale))
        return np.cos(np.outer(np.arange(order + 1), phi)) @ self.weights

    def largest(self, dimension: int, risk: float) -> tuple[float, float]:
        r"""Return bounds of the largest eigenvalue, the upper one with a risk of being wrong.

        For a start that is uniform on the sphere,

        .. math::
            P\bigl(\theta < (1 - \epsilon) \lambda\bigr)
                \le 1.648 \sqrt{n} \, e^{-\sqrt{\epsilon} \, (2k - 1)} .

        References
        ----------
        :cite:t:`KuczynskiWozniakowski1992`, section 4.
        """
        node = float(self.nodes[-1])
        if self.coefficients.exhausted:
            return node, node
        root = math.log(1.648 * math.sqrt(dimension) / risk) / (2 * self.steps - 1)
        return node, node / (1 - root**2) if root < 1 else math.inf
