r"""The equations of the eigenvalue problem on the imaginary axis at its end, eta = 0.

With :math:`F(\lambda; a, b)` the site average of :mod:`~rmt_jacobian.eigenvalues.sites`,
:math:`v_k = \partial F / \partial \log a_k` and :math:`w_j = \partial F / \partial \log b_j`,
inside the support

.. math:: a_k b_j = w_j \, \gamma_k(-v_k), \qquad w_j = \sum_{k \to j} v_k, \qquad 0 < v_k < 1,

where :math:`\gamma(u) = 1 / ((1 + u) S(u))` and the sums run over the W that multiply source j.
They are solved by Newton's method in the logarithms of a and b; their common ratio, which drops
out, is fixed.  Since F is stationary, :math:`d \, \tau((\lambda - J)^{-1}) = \partial_\lambda F`
at fixed a and b, and its derivative by :math:`\bar \lambda` follows from the same linear equations.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.eigenvalues.sites import Block, Group

__all__ = ["BlockSolution", "response", "solve_block"]

_EXACT = 1e-10  # residual of the logarithms
# Where rounding ends the iteration; what is asked of a solution is stationary in the logarithms.
_ACCEPTED = 1e-7
_SWEEPS = 80
_LOW, _FREE = 0.5, 20  # residuals that may rise, and for how many sweeps
_LONGEST = 3.0  # step of a logarithm
_SHORTEST = 1e-7  # cap of the step at which a start is given up
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class BlockSolution:
    r"""Self-energies at points.

    Attributes
    ----------
    logs
        Logarithms of :math:`(a_1, \ldots, b_1, \ldots)`, shape (points, groups + sources).
    converged, residual, iterations
        Of each point, shape (points,).
    """

    logs: np.ndarray
    converged: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray


@dataclass(frozen=True, eq=False)
class _State:
    """Values of the equations at trial logarithms."""

    residual: np.ndarray
    jacobian: np.ndarray
    left: np.ndarray

    def norm(self) -> np.ndarray:
        """Return the largest residual; infinite where it is not a number."""
        size = np.abs(self.residual).max(axis=1)
        return np.where(np.isfinite(size), size, np.inf)


class _Equations:
    """The equations at some points of a block, whose terms they keep."""

    def __init__(self, block: Block, terms: Any, weights: Any) -> None:
        self.block, self.terms = block, terms
        self.weights = weights
        xp = array_namespace(terms)
        self.roots = xp.sqrt(weights)
        self.count = len(block.groups)
        self.sources = np.array([group.source for group in block.groups])

    def at(self, points: np.ndarray) -> "_Equations":
        """Return the equations at some of the points."""
        xp = array_namespace(self.terms)
        return _Equations(self.block, xp.take(self.terms, xp.asarray(points), axis=0), self.weights)

    def shares(self, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means and second moments of the share of every monomial in its site."""
        xp = array_namespace(self.terms)
        sizes = logs @ self.block.exponents.T
        factors = np.exp(sizes - sizes.max(axis=1, keepdims=True))
        x = xp.asarray(factors)
        total = (x[:, None, :] @ self.terms)[:, 0, :]
        relative = (
            self.terms * (self.roots / xp.maximum(total, xp.full_like(total, _TINY)))[:, None, :]
        )
        means = factors * to_numpy((relative @ self.roots[:, None])[..., 0])
        second = to_numpy(relative @ xp.matrix_transpose(relative))
        return means, second * factors[:, :, None] * factors[:, None, :]

    def state(self, logs: np.ndarray) -> _State:
        """Return residual and Jacobian."""
        E, G, j = self.block.exponents, self.count, self.sources
        means, second = self.shares(logs)
        slopes = means @ E
        curvature = E.T @ (means[:, :, None] * E - second @ E)
        v, w = slopes[:, :G], slopes[:, G:]
        residual = np.empty_like(logs)
        jacobian = np.zeros((*logs.shape, logs.shape[1]))
        for g, group in enumerate(self.block.groups):
            gain, rate = self.gain(group, means, v[:, g], g)
            residual[:, g] = logs[:, g] + logs[:, G + j[g]] - np.log(w[:, j[g]] * gain)
            jacobian[:, g, g] += 1
            jacobian[:, g, G + j[g]] += 1
            jacobian[:, g] += rate[:, None] * curvature[:, g]
            jacobian[:, g] -= curvature[:, G + j[g]] / w[:, j[g], None]
        for s in range(self.block.sources):
            members = np.flatnonzero(j == s)
            both = v[:, members].sum(axis=1)
            residual[:, G + s] = np.log(w[:, s] / both)
            jacobian[:, G + s] = (
                curvature[:, G + s] / w[:, s, None]
                - curvature[:, members].sum(axis=1) / both[:, None]
            )
        return _State(residual, jacobian, w)

    def gain(
        self, group: Group, means: np.ndarray, v: np.ndarray, g: int
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Return :math:`\gamma(-v)` and :math:`\gamma' / \gamma`."""
        rest = (means * (self.block.exponents[:, g] == 0)).sum(axis=1)
        u = (rest - 1 if group.inverse_variance else -v).astype(complex)
        gain, slope = group.ensemble.gain(u), group.ensemble.gain_derivative(u)
        # Near v = 1 gamma may have a pole in 1 + u, the mean share of the monomials without a:
        # taken from there it keeps its digits.
        exact = np.real(1 + u) / rest if group.inverse_variance else 1.0
        return np.real(gain) * exact, np.real(slope / gain) * exact

    def step(self, state: _State) -> np.ndarray:
        """Return Newton's step along which the common ratio of a and b stays."""
        points, size = state.residual.shape
        bordered = np.zeros((points, size + 1, size + 1))
        bordered[:, :size, :size] = state.jacobian
        bordered[:, size, : self.count] = 1
        bordered[:, size, self.count : size] = -1
        # The w_j weigh the last equations into 0, because F only knows products of a and b.
        bordered[:, self.count : size, size] = state.left / state.left.max(axis=1, keepdims=True)
        right = np.concatenate([-state.residual, np.zeros((points, 1))], axis=1)
        good = np.isfinite(bordered).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
        step = np.zeros_like(right)
        if good.any():
            step[good] = _solved(bordered[good], right[good])
        return step[:, :size]

    def newton(self, start: np.ndarray) -> BlockSolution:
        """Iterate from a start, each point with a longest step of its own."""
        points = len(start)
        logs, iterations = start.copy(), np.zeros(points, dtype=int)
        residual = np.full(points, np.inf)
        active, equations = np.arange(points), self
        cap = np.full(points, _LONGEST)
        with np.errstate(all="ignore"):
            state = equations.state(logs)
            step, size = equations.step(state), state.norm()
            residual[:] = size
            for sweep in range(_SWEEPS):
                going = (residual[active] > _EXACT) & (cap[active] > _SHORTEST)
                if not going.any():
                    break
                if going.sum() <= 0.5 * len(active):
                    active, equations = active[going], equations.at(np.flatnonzero(going))
                    step = step[going]
                length = np.abs(step).max(axis=1, keepdims=True)
                taken = step * np.minimum(1.0, cap[active, None] / np.maximum(length, _TINY))
                trial = logs[active] + taken
                state = equations.state(trial)
                size = state.norm()
                iterations[active] += 1
                short = length[:, 0] < 1e-3  # in the last digits the residual need not fall
                better = (size < residual[active]) | (short & (size < 2 * residual[active]))
                # Between close edges the way leads over a low ridge of the residual.
                better |= (size < _LOW) & (sweep < _FREE)
                better &= residual[active] > _EXACT
                logs[active[better]] = trial[better]
                residual[active[better]] = size[better]
                fresh = equations.step(state)
                step[better] = fresh[better]
                grown = np.minimum(2 * cap[active], _LONGEST)
                cap[active] = np.where(better, grown, np.minimum(cap[active], length[:, 0]) / 4)
        return BlockSolution(logs, residual <= _ACCEPTED, residual, iterations)


def _solved(matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(matrices, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return (np.linalg.pinv(matrices) @ right[..., None])[..., 0]


def solve_block(
    block: Block, terms: Any, weights: Any, starts: Iterable[np.ndarray]
) -> BlockSolution:
    """Solve at points inside the support.

    Parameters
    ----------
    block
        The irreducible part.
    terms
        Its terms at the points, shape (points, monomials, sites).
    weights
        The share of every site.
    starts
        First guesses of the logarithms; the next is taken where one fails.
    """
    equations = _Equations(block, terms, weights)
    found: BlockSolution | None = None
    for start in starts:
        if found is None:
            found = equations.newton(start)
        else:
            bad = np.flatnonzero(~found.converged)
            found = _mended(found, bad, equations.at(bad).newton(start[bad]))
        if found.converged.all():
            break
    if found is None:
        raise ValueError("solve_block needs a first guess")
    return found


def _mended(found: BlockSolution, bad: np.ndarray, other: BlockSolution) -> BlockSolution:
    fields = {}
    for name in ("logs", "converged", "residual"):
        value = getattr(found, name).copy()
        value[bad] = getattr(other, name)
        fields[name] = value
    iterations = found.iterations.copy()
    iterations[bad] += other.iterations
    return BlockSolution(**fields, iterations=iterations)


def response(
    block: Block, lam: Any, terms: Any, weights: Any, logs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return :math:`\partial_\lambda F` and its total derivative by :math:`\bar \lambda`.

    Parameters
    ----------
    block, terms, weights
        As in :func:`solve_block`.
    lam
        The points.
    logs
        The solution there.
    """
    xp = array_namespace(terms)
    E = block.exponents
    sizes = logs @ E.T
    factors = np.exp(sizes - sizes.max(axis=1, keepdims=True))
    x = xp.asarray(factors)
    total = xp.maximum((x[:, None, :] @ terms)[:, 0, :], xp.full_like(terms[:, 0, :], _TINY))
    first, second = block.slopes(lam)
    share = weights / total
    per_monomial = first / total[:, None, :]
    site = xp.sum(x[:, :, None] * per_monomial, axis=1)
    mean_first = factors * to_numpy(xp.sum(per_monomial * weights, axis=2))
    mean_second = factors * to_numpy(xp.sum(second * share[:, None, :], axis=2))
    fractions = terms * share[:, None, :]
    crossed = factors * to_numpy(xp.sum(fractions * site[:, None, :], axis=2))
    own = to_numpy(xp.sum(weights * (xp.real(site) ** 2 + xp.imag(site) ** 2), axis=1))
    # Derivatives of the residual by lambda, through those of v and w.
    mixed = (mean_first - crossed) @ E
    slope = mean_second.sum(axis=1) - own
    equations = _Equations(block, terms, weights)
    state = equations.state(logs)
    moved = _by_lambda(equations, logs, mixed)
    real, imaginary = (
        equations.step(_State(part, state.jacobian, state.left))
        for part in (np.real(moved), np.imag(moved))
    )
    answer = real + 1j * imaginary
    # d logs / d conj(lambda) is the conjugate: logs are real.
    total_slope = slope + np.einsum("pn,pn->p", mixed, np.conj(answer)).real
    return mean_first.sum(axis=1), total_slope


def _by_lambda(equations: _Equations, logs: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """Return the derivative of the residual by lambda at fixed logarithms."""
    G, j = equations.count, equations.sources
    means, _ = equations.shares(logs)
    slopes = means @ equations.block.exponents
    v, w = slopes[:, :G], slopes[:, G:]
    moved = np.empty(logs.shape, dtype=complex)
    for g, group in enumerate(equations.block.groups):
        _, rate = equations.gain(group, means, v[:, g], g)
        moved[:, g] = rate * mixed[:, g] - mixed[:, G + j[g]] / w[:, j[g]]
    for s in range(equations.block.sources):
        members = np.flatnonzero(j == s)
        moved[:, G + s] = mixed[:, G + s] / w[:, s] - mixed[:, members].sum(axis=1) / v[
            :, members
        ].sum(axis=1)
    return moved
