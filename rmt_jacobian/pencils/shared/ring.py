r"""The ring: how many Lyapunov exponents of a network with shared weights lie above a number.

A product of T Jacobians is closed into a ring, on which

.. math::
    \frac{1}{T d N} \log \bigl| \det ( e^{-\lambda} J P - 1 ) \bigr| \to
    \int \max(0, \Lambda - \lambda) \, d\nu(\Lambda), \qquad T \to \infty,

:math:`\nu` the law of the exponents, so that the share above :math:`\lambda` is minus its
derivative.  With all that a site does, :math:`\mathcal T` of :mod:`.ring_sites`, the determinant is
:math:`\det D \, \det(1 - W \mathcal T)`, with the same W at all T places.  Its self-energies
are T x T matrices that are circulant, as statistics are the same at all times: for every W and
frequency two numbers p and q, and a site counts by :math:`M = q \mathcal T p` alone,

.. math::
    y = \bigl\langle M^T M (1 + M^T M)^{-1} \bigr\rangle_{\omega \omega}
      = \bigl\langle M M^T (1 + M M^T)^{-1} \bigr\rangle_{\omega \omega}, \qquad
    p^2 q^2 = y \, \gamma(-y),

which is the Dyson equation next to the real axis. On the axis itself it is regular where sites mix
the frequencies, up to :math:`p \to c p, q \to q / c` with one c for all, which changes nothing.
Where they hardly do, y of each frequency is 0 or 1 there, and a little off the axis it is not.

References
----------
:cite:t:`Clark2026` for the exponents of one cell without gates, Gaussian W and no inputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from rmt_jacobian.parallel import map_samples
from rmt_jacobian.pencils.ensembles import BiInvariant, OrthogonalWeights
from rmt_jacobian.pencils.shared.ring_sites import RingSites, RingSystem, fourier_basis
from rmt_jacobian.pencils.shared.ring_sums import RingSums, ring_sums
from rmt_jacobian.solvers import Solution

__all__ = ["Ring", "RingState"]

_PORTION_BYTES = 2**22  # of one array of site matrices
_GROUPS = 16  # of sites, at least, whose scatter is the error
_SWEEPS, _EXACT, _STRIDE, _WORSE = 30, 1e-7, 1.0, 2.0  # of Newton's method
_DAMPED = (12, 48)  # steps of plain iteration, where nothing is known
_REMEDY = "the equation of the ring has no solution nearby: take more sites, or more steps"

Part = TypeVar("Part")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class RingState:
    r"""A solution at one :math:`\lambda`.

    Attributes
    ----------
    exponent
        :math:`\lambda`.
    unknowns
        :math:`\log p^2` and then :math:`\log q^2`, by W and frequency.
    above
        The share of exponents that are larger.
    of_groups, pulls
        The same of each of some groups of sites by itself, at the same unknowns, and how much less
        it would be for each unit that these change in :math:`\lambda`.
    """

    exponent: float
    unknowns: np.ndarray
    above: float
    of_groups: np.ndarray
    pulls: np.ndarray

    def error(self, speed: np.ndarray) -> float:
        r"""Return the standard error of the share above, from the number of sites.

        Parameters
        ----------
        speed
            The derivative of the unknowns in :math:`\lambda`.
        """
        samples = self.of_groups - self.pulls @ speed
        return float(np.std(samples, ddof=1) / np.sqrt(len(samples)))


@dataclass(frozen=True, eq=False)
class _Linearised:
    """The equation where it is not solved yet: what is left, and its derivative."""

    residual: np.ndarray
    matrix: np.ndarray
    rests: np.ndarray

    @property
    def size(self) -> float:
        return float(np.max(np.abs(self.residual)))

    @cached_property
    def solved(self) -> np.ndarray:
        """The change of the unknowns after which nothing is left, to first order."""
        return np.asarray(-np.linalg.solve(self.matrix, self.residual))


@dataclass(frozen=True, eq=False)
class Ring:
    """Sites on a ring of T steps, and the W that all steps share.

    Attributes
    ----------
    sites
        What they do.
    ensembles
        The law of every W.
    eta
        How far off the real axis the equation is solved; it leaves an error of that order.
    """

    sites: RingSites
    ensembles: tuple[BiInvariant, ...]
    eta: float = 1e-4

    @cached_property
    def _frequencies(self) -> np.ndarray:
        return fourier_basis(self.sites.steps)[1]

    @property
    def modes(self) -> int:
        """How many numbers p there are: for every W and frequency one."""
        return self.sites.gates * (int(self._frequencies[-1]) + 1)

    def _over(self, kinds: int) -> np.ndarray:
        """Return 1 where a row of a site matrix has a frequency, shape (modes, rows)."""
        counts = (np.arange(self._frequencies[-1] + 1)[:, None] == self._frequencies).astype(float)
        return np.kron(np.eye(kinds), counts)

    @cached_property
    def _gate_rows(self) -> np.ndarray:
        return self._over(self.sites.gates)

    @cached_property
    def _source_rows(self) -> np.ndarray:
        return self._over(self.sites.sources)

    @cached_property
    def _reads(self) -> np.ndarray:
        """1 where a mode of a W is one of a source, shape (modes of W, modes of sources)."""
        read = np.array(self.sites.read)[:, None] == np.arange(self.sites.sources)
        return np.kron(read.astype(float), np.eye(int(self._frequencies[-1]) + 1))

    @cached_property
    def _portions(self) -> list[RingSites]:
        variables = 2 * (self.sites.states + len(self.sites.chained))
        size = (variables * self.sites.steps) ** 2 * 8
        share = max(1, min(_PORTION_BYTES // size, self.sites.count // _GROUPS))
        return [self.sites.part(slice(k, k + share)) for k in range(0, self.sites.count, share)]

    def state(self, exponent: float, start: np.ndarray | None = None) -> Solution[RingState]:
        r"""Solve at one :math:`\lambda`.

        Parameters
        ----------
        exponent
            :math:`\lambda`.
        start
            Unknowns nearby; by default what a few steps of plain iteration lead to.
        """
        scale = float(np.exp(-exponent))
        systems = _mapped(lambda part: part.system(scale), self._portions)
        if start is not None:
            return self._newton(exponent, systems, start)
        x = np.zeros(2 * self.modes)
        found = None
        for damped in _DAMPED:
            x = self._iterated(systems, x, damped)
            found = self._newton(exponent, systems, x)
            if found.converged:
                break
        assert found is not None
        return found

    def _newton(
        self, exponent: float, systems: list[RingSystem], x: np.ndarray
    ) -> Solution[RingState]:
        """Solve by Newton's method with the exact derivative."""
        size, sweep, before, step = np.inf, 0, x, np.zeros_like(x)
        for sweep in range(1, _SWEEPS + 1):
            there = self._at(systems, x)
            if there is None or there[1].size > _WORSE * size:
                if not np.any(step):
                    break
                step = step / 4  # it went too far
                x = before + step
                continue
            sums, here = there
            size = here.size
            if size <= _EXACT:
                return Solution(self._found(exponent, x, sums), True, size, sweep)
            before, step = x, here.solved
            step = step * min(1.0, _STRIDE / max(float(np.max(np.abs(step))), 1e-300))
            x = before + step
        nothing = np.empty((0, x.size))
        lost = RingState(exponent, x, np.nan, nothing[:, 0], nothing)
        return Solution(lost, False, size, sweep, _REMEDY)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # far off a solution
    def _at(
        self, systems: list[RingSystem], x: np.ndarray
    ) -> tuple[list[RingSums], _Linearised] | None:
        """Return the equation at some unknowns; None where it is singular, or no number."""
        try:
            sums = self._sums(systems, x)
            found = self._linearised(x, sums)
            known = np.isfinite(found.size) and np.isfinite(found.solved).all()
        except np.linalg.LinAlgError:
            return None
        return (sums, found) if known else None

    def _sums(self, systems: list[RingSystem], x: np.ndarray) -> list[RingSums]:
        spread, cost = np.exp(x.reshape(2, -1))  # all W that multiply a source add to its cost
        T = self.sites.steps
        p = (spread @ self._gate_rows).reshape(-1, T)
        q = (cost @ self._reads @ self._source_rows).reshape(-1, T)
        return _mapped(lambda part: ring_sums(part, p, q, self.eta), systems)

    def _rests(self, x: np.ndarray, sums: RingSums) -> np.ndarray:
        """Return 1 - y of every W by its e and by its y, shape (2, modes)."""
        right = self._gate_rows @ sums.right / self._gate_rows.sum(axis=1)
        left = self._source_rows @ sums.left / self._source_rows.sum(axis=1)
        own = self._own_shares(x)
        return np.array([right / sums.count, 1 - own + own * (self._reads @ left) / sums.count])

    def _own_shares(self, x: np.ndarray) -> np.ndarray:
        """Return what a W has of the cost of its source."""
        cost = np.exp(x.reshape(2, -1)[1])
        return np.asarray(cost / (self._reads @ (cost @ self._reads)))

    def _log_products(self, shares: np.ndarray, rests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r"""Return :math:`\log y \gamma(-y)` and its derivative, shape (modes,)."""
        y, u = shares.reshape(len(self.ensembles), -1), -shares.reshape(len(self.ensembles), -1)
        left = rests.reshape(y.shape)
        value, slope = np.empty_like(y), np.empty_like(y)
        for k, ensemble in enumerate(self.ensembles):
            if isinstance(ensemble, OrthogonalWeights):  # 1 - y, which may be small, is known
                value[k] = np.log(ensemble.variance * y[k] / left[k])
                slope[k] = 1 / y[k] + 1 / left[k]
            else:
                gain, by_u = (np.real(f(u[k])) for f in (ensemble.gain, ensemble.gain_derivative))
                value[k] = np.log(y[k] * gain)
                slope[k] = 1 / y[k] - by_u / gain
        return value.ravel(), slope.ravel()

    def _linearised(self, x: np.ndarray, parts: list[RingSums]) -> _Linearised:
        sums = RingSums.together(parts)
        rests, own = self._rests(x, sums), self._own_shares(x)
        gates, sources, reads = self._gate_rows, self._source_rows, self._reads

        def table(rows: np.ndarray, squares: np.ndarray, columns: np.ndarray) -> np.ndarray:
            found = rows @ squares @ columns.T / rows.sum(axis=1)[:, None]
            return np.asarray(found / sums.count)

        by_p = table(gates, np.diag(sums.right) - sums.right_squares, gates)
        by_q = table(gates, sums.across.T, sources) @ (reads.T * own)
        source_by_p = reads @ table(sources, sums.across, gates)
        source_by_q = (
            reads @ table(sources, np.diag(sums.left) - sums.left_squares, sources) @ reads.T * own
        )
        shares = 1 - rests
        moved = np.diag(shares[1]) - shares[1][:, None] * own * (reads @ reads.T)
        slopes = (
            np.hstack([by_p, by_q]),
            np.hstack([own[:, None] * source_by_p, own[:, None] * source_by_q + moved]),
        )
        both, one = x.reshape(2, -1).sum(axis=0), np.eye(self.modes)
        residual, matrix = [], []
        for rest, by_x in zip(rests, slopes, strict=True):
            value, slope = self._log_products(1 - rest, rest)
            residual.append(both - value)
            matrix.append(np.hstack([one, one]) - slope[:, None] * by_x)
        return _Linearised(np.concatenate(residual), np.vstack(matrix), rests)

    @np.errstate(over="ignore", divide="ignore", invalid="ignore")
    def _iterated(self, systems: list[RingSystem], x: np.ndarray, times: int) -> np.ndarray:
        """Take steps of plain iteration, half as far."""
        for _ in range(times):
            sums = RingSums.together(self._sums(systems, x))
            rests = self._rests(x, sums)
            products = np.array([self._log_products(1 - rest, rest)[0] for rest in rests])
            spread, cost = x.reshape(2, -1)
            moved = np.array([products[1] - cost, products[0] - spread])
            x = ((x.reshape(2, -1) + moved) / 2).ravel()
        return x

    def _found(self, exponent: float, x: np.ndarray, parts: list[RingSums]) -> RingState:
        """Count the exponents above, for all sites and for each group."""
        size = self.sites.states * self.sites.steps
        rests = self._rests(x, RingSums.together(parts))
        own = np.array([(rests - self._rests(x, part)).ravel() for part in parts])
        above = np.array([part.above / (part.count * size) for part in parts])
        counts = np.array([part.count for part in parts])
        # Of the potential only what sites do counts: it is stationary in p and q.
        weights = np.tile(self._gate_rows.sum(axis=1), 2) / (2 * size)
        return RingState(
            exponent, x, float(counts @ above / counts.sum()), above, own * weights,
        )  # fmt: skip


def _mapped(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    return list(map_samples(function, parts))
