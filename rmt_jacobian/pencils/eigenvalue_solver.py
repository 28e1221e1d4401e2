r"""The equations of the eigenvalue problem on the imaginary axis at its end, eta = 0.

With :math:`F(\lambda; a, b)` the site average of :mod:`.eigenvalue_sites`,
:math:`v_k = \partial F / \partial \log a_k` and :math:`w_j = \partial F / \partial \log b_j`,
inside the support

.. math:: a_k b_j = w_j \, \gamma_k(-v_k), \qquad w_j = \sum_{k \to j} v_k, \qquad 0 < v_k < 1,

where :math:`\gamma(u) = 1 / ((1 + u) S(u))` and the sums run over the W that multiply source j.
They are solved by Newton's method in the logarithms of a and b; their common ratio, which drops
out, is fixed.  Since F is stationary, :math:`d \, \tau((\lambda - J)^{-1}) = \partial_\lambda F`
at fixed a and b, and its derivative by :math:`\bar \lambda` follows from the same linear equations.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.pencils.eigenvalue_sites import Block

__all__ = ["BlockSolution", "response", "solve_block"]

_EXACT = 1e-10  # residual of the logarithms
_SWEEPS = 80
_LONGEST = 3.0  # step of a logarithm
_SHORTEST = 1e-7  # cap of the step at which a start is given up
_SCALES = 60  # most steps of the continuation from the edge
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

    def state(self, logs: np.ndarray, scale: np.ndarray | float = 0.0) -> _State:
        """Return residual and Jacobian; the W may be scaled by ``exp(scale / 2)``."""
        E, G, j = self.block.exponents, self.count, self.sources
        means, second = self.shares(logs)
        slopes = means @ E
        curvature = E.T @ (means[:, :, None] * E - second @ E)
        v, w = slopes[:, :G], slopes[:, G:]
        residual = np.empty_like(logs)
        jacobian = np.zeros((*logs.shape, logs.shape[1]))
        for g, group in enumerate(self.block.groups):
            # 1 - v is the mean share of the monomials without a: no digits are lost near v = 1.
            rest = (means * (1 - E[:, g])).sum(axis=1) if E[:, g].max() <= 1 else 1 - v[:, g]
            u = (rest - 1).astype(complex)
            gain = np.real(group.ensemble.gain(u))
            rate = np.real(group.ensemble.gain_derivative(u)) / gain
            residual[:, g] = logs[:, g] + logs[:, G + j[g]] - np.log(w[:, j[g]] * gain) - scale
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

    def newton(self, start: np.ndarray, scale: np.ndarray | float = 0.0) -> BlockSolution:
        """Iterate from a start, each point with a longest step of its own."""
        points = len(start)
        scales = np.broadcast_to(scale, (points,))
        logs, iterations = start.copy(), np.zeros(points, dtype=int)
        residual = np.full(points, np.inf)
        active, equations = np.arange(points), self
        cap = np.full(points, _LONGEST)
        with np.errstate(all="ignore"):
            state = equations.state(logs, scales)
            step, size = equations.step(state), state.norm()
            residual[:] = size
            for _ in range(_SWEEPS):
                going = (residual[active] > _EXACT) & (cap[active] > _SHORTEST)
                if not going.any():
                    break
                if going.sum() <= 0.5 * len(active):
                    active, equations = active[going], equations.at(np.flatnonzero(going))
                    step = step[going]
                length = np.abs(step).max(axis=1, keepdims=True)
                taken = step * np.minimum(1.0, cap[active, None] / np.maximum(length, _TINY))
                trial = logs[active] + taken
                state = equations.state(trial, scales[active])
                size = state.norm()
                iterations[active] += 1
                short = length[:, 0] < 1e-3  # in the last digits the residual need not fall
                better = (size < residual[active]) | (short & (size < 2 * residual[active]))
                better &= residual[active] > _EXACT
                logs[active[better]] = trial[better]
                residual[active[better]] = size[better]
                fresh = equations.step(state)
                step[better] = fresh[better]
                grown = np.minimum(2 * cap[active], _LONGEST)
                cap[active] = np.where(better, grown, np.minimum(cap[active], length[:, 0]) / 4)
        return BlockSolution(logs, residual <= _EXACT, residual, iterations)


def _solved(matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(matrices, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return (np.linalg.pinv(matrices) @ right[..., None])[..., 0]


def solve_block(
    block: Block, terms: Any, weights: Any, small: np.ndarray, start: np.ndarray | None = None
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
    small
        Matrices of the equations linearised at small W, shape (points, sources, sources): where a
        first guess comes from.
    start
        Logarithms at nearby points, a better guess.
    """
    equations = _Equations(block, terms, weights)
    radius, cold = _edge_solution(equations, small)
    # Small W: the total v grows like 1 - 1 / rho beyond the edge, which is exact for equal sites.
    level = np.log(np.maximum(1 - 1 / radius, 1e-12))
    found = equations.newton(cold + level[:, None] / 2 if start is None else start)
    if start is not None and not found.converged.all():
        found = _mended(found, equations, lambda those, bad: those.newton(
            cold[bad] + level[bad, None] / 2))  # fmt: skip
    if not found.converged.all():
        found = _mended(found, equations, lambda those, bad: _from_edge(
            those, cold[bad], np.log(radius[bad])))  # fmt: skip
    return found


def _mended(found: BlockSolution, equations: _Equations, again: Any) -> BlockSolution:
    bad = np.flatnonzero(~found.converged)
    other = again(equations.at(bad), bad)
    fields = {}
    for name in ("logs", "converged", "residual"):
        value = getattr(found, name).copy()
        value[bad] = getattr(other, name)
        fields[name] = value
    iterations = found.iterations.copy()
    iterations[bad] += other.iterations
    return replace(found, **fields, iterations=iterations)


def _edge_solution(equations: _Equations, small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the spectral radius of the linearised equations, and logarithms of its vectors."""
    block, points = equations.block, len(small)
    floor = 1e-12 * small.max(axis=(1, 2), keepdims=True)
    capped = np.minimum(small, 1e60) + floor
    b = _perron(capped)
    radius = np.einsum("pij,pj->pi", capped, b).sum(axis=1)
    # a_g = gamma beta_j, and beta is the left vector of the same matrix in units of its own.
    beta = _perron(np.swapaxes(capped, 1, 2))
    logs = np.empty((points, len(block.groups) + block.sources))
    for g, group in enumerate(block.groups):
        logs[:, g] = np.log(np.maximum(beta[:, group.source], 1e-200) * group.ensemble.variance)
    logs[:, len(block.groups) :] = np.log(np.maximum(b, 1e-200))
    # The scale at which the total share is of order 1.
    normal = np.log(np.maximum((beta * b).sum(axis=1), 1e-200))
    return radius, logs - normal[:, None] / 2


def _perron(matrices: np.ndarray) -> np.ndarray:
    """Return the positive eigenvectors, of sum 1, by repeated squaring."""
    power = matrices / matrices.sum(axis=(1, 2), keepdims=True)
    for _ in range(40):
        power = power @ power
        power /= power.sum(axis=(1, 2), keepdims=True)
    vector = power.sum(axis=2)
    return vector / vector.sum(axis=1, keepdims=True)


def _from_edge(equations: _Equations, cold: np.ndarray, log_radius: np.ndarray) -> BlockSolution:
    """Follow the solution while W grows from where the point was on the edge of the support."""
    points = len(cold)
    below = np.log1p(1e-3)
    # The start solves the equations of W scaled down until the point lies barely inside.
    scale = np.minimum(0.0, below - log_radius)
    logs = cold + np.log(1e-3) / 2
    found = equations.newton(logs, scale)
    logs, move = found.logs, np.full(points, 0.1)
    tangent = np.zeros_like(logs)
    alive = found.converged.copy()
    iterations = found.iterations.copy()
    for _ in range(_SCALES):
        going = np.flatnonzero(alive & (scale < 0))
        if not going.size:
            break
        ahead = np.minimum(scale[going] + move[going], 0.0)
        part = (ahead - scale[going])[:, None]
        trial = equations.at(going).newton(logs[going] + part * tangent[going], ahead)
        iterations[going] += trial.iterations
        good = trial.converged
        reached = going[good]
        tangent[reached] = (trial.logs[good] - logs[reached]) / part[good]
        logs[reached], scale[reached] = trial.logs[good], ahead[good]
        move[reached] *= 2
        move[going[~good]] /= 4
        alive &= move > 1e-6
    last = equations.newton(logs)
    done = last.converged & (scale >= 0)
    return replace(last, converged=done, iterations=iterations + last.iterations)


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
    answer = equations.step(_State(moved.real, state.jacobian, state.left)) + 1j * equations.step(
        _State(moved.imag, state.jacobian, state.left)
    )
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
        u = -v[:, g].astype(complex)
        rate = np.real(group.ensemble.gain_derivative(u) / group.ensemble.gain(u))
        moved[:, g] = rate * mixed[:, g] - mixed[:, G + j[g]] / w[:, j[g]]
    for s in range(equations.block.sources):
        members = np.flatnonzero(j == s)
        moved[:, G + s] = mixed[:, G + s] / w[:, s] - mixed[:, members].sum(axis=1) / v[
            :, members
        ].sum(axis=1)
    return moved
