r"""The ring: how many Lyapunov exponents of a network with shared weights lie above a number.

A product of T Jacobians is closed into a ring, on which

.. math::
    \frac{1}{T d N} \log \bigl| \det ( e^{-\lambda} J P - 1 ) \bigr| \to
    \int \max(0, \Lambda - \lambda) \, d\nu(\Lambda), \qquad T \to \infty,

:math:`\nu` the law of the exponents, so that the share above :math:`\lambda` is minus its
derivative.  With all that a site does, :math:`\mathcal T` of :mod:`.ring_sites`, the determinant is
:math:`\det(1 - zAP) \det(1 - W \mathcal T)`, with the same W at all T places.  Its self-energies
are T x T matrices that are circulant, as statistics are the same at all times: for every W and
frequency two numbers p and q, and a site counts by :math:`M = q \mathcal T p` alone,

.. math::
    y = \bigl\langle M^T M (1 + M^T M)^{-1} \bigr\rangle_{\omega \omega}
      = \bigl\langle M M^T (1 + M M^T)^{-1} \bigr\rangle_{\omega \omega}, \qquad
    p^2 q^2 = y \, \gamma(-y),

which is the Dyson equation on the real axis itself, no small imaginary part added: it is regular
there.  Only :math:`p \to c p, q \to q / c`, the same c for all, is left open and changes nothing.

References
----------
Clark (2026), arXiv, for the ring in one cell without gates, Gaussian W and no inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from rmt_jacobian.parallel import map_samples
from rmt_jacobian.pencils.ensembles import BiInvariant, OrthogonalWeights
from rmt_jacobian.pencils.shared.ring_sites import RingSites, Transfers, fourier_basis
from rmt_jacobian.pencils.shared.ring_sums import RingSums, ring_drift, ring_sums
from rmt_jacobian.solvers import Solution

__all__ = ["Ring", "RingState"]

_PORTION_BYTES = 2**22  # of one array of site matrices
_GROUPS = 16  # of sites, at least, whose scatter is the error
_SWEEPS, _EXACT, _STRIDE = 60, 1e-9, 1.0  # of Newton's method
_DAMPED = 12  # steps of plain iteration, where nothing is known
_GAUGE = 1e-10  # relative size of a direction that changes nothing
_REMEDY = "the equation of the ring has no solution nearby: take more sites, or more steps"

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
    speed
        Their derivative in :math:`\lambda`.
    shares
        y, by W and frequency.
    above
        The share of exponents that are larger.
    samples
        What each of some groups of sites by itself makes of it, to first order.
    """

    exponent: float
    unknowns: np.ndarray
    speed: np.ndarray
    shares: np.ndarray
    above: float
    samples: np.ndarray

    @property
    def error(self) -> float:
        """The standard error of the share above, from the number of sites."""
        return float(np.std(self.samples, ddof=1) / np.sqrt(len(self.samples)))


@dataclass(frozen=True, eq=False)
class _Linearised:
    """The equation where it is not solved yet: what is left, and its derivative."""

    residual: np.ndarray
    matrix: np.ndarray
    rests: np.ndarray

    @property
    def size(self) -> float:
        return float(np.max(np.abs(self.residual)))

    def solved(self, right: np.ndarray) -> np.ndarray:
        """Return the least change of the unknowns that makes up for a change of what is left."""
        return np.asarray(-np.linalg.lstsq(self.matrix, right, rcond=_GAUGE)[0])


@dataclass(frozen=True, eq=False)
class Ring:
    """Sites on a ring of T steps, and the W that all steps share.

    Attributes
    ----------
    sites
        What they do.
    ensembles
        The law of every W.
    """

    sites: RingSites
    ensembles: tuple[BiInvariant, ...]

    @cached_property
    def _mode(self) -> np.ndarray:
        """Which unknown belongs to each row of a site matrix, shape (K T,)."""
        _, frequencies = fourier_basis(self.sites.steps)
        first = np.arange(self.sites.gates)[:, None] * (frequencies[-1] + 1)
        return np.asarray((first + frequencies).ravel())

    @property
    def modes(self) -> int:
        """How many numbers p there are."""
        return int(self._mode[-1]) + 1

    @cached_property
    def _rows(self) -> np.ndarray:
        """1 where a row belongs to an unknown, shape (modes, K T)."""
        return (np.arange(self.modes)[:, None] == self._mode).astype(float)

    @cached_property
    def _counts(self) -> np.ndarray:
        """How many rows every unknown has."""
        return np.asarray(self._rows.sum(axis=1))

    @cached_property
    def _portions(self) -> list[RingSites]:
        size = (self.sites.gates * self.sites.steps) ** 2 * 8
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
        transfers = _mapped(lambda part: part.transfers(scale), self._portions)
        x = self._from_nothing(transfers) if start is None else start
        size, sweep = np.inf, 0
        for sweep in range(1, _SWEEPS + 1):
            sums = self._sums(transfers, x)
            here = self._linearised(x, sums)
            size = here.size
            if size <= _EXACT:
                return Solution(self._found(exponent, x, transfers, sums, here), True, size, sweep)
            if not np.isfinite(size):
                break
            step = here.solved(here.residual)
            x = x + step * min(1.0, _STRIDE / max(float(np.max(np.abs(step))), 1e-300))
        lost = np.full(self.modes, np.nan)
        return Solution(
            RingState(exponent, x, lost, lost, np.nan, lost), False, size, sweep, _REMEDY
        )

    def _roots(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return p and q of every row."""
        spread, cost = np.exp(x.reshape(2, -1) / 2)
        return spread[self._mode], cost[self._mode]

    def _sums(self, transfers: list[Transfers], x: np.ndarray) -> list[RingSums]:
        p, q = self._roots(x)
        return _mapped(lambda part: ring_sums(part, p, q), transfers)

    def _mean(self, rows: np.ndarray) -> np.ndarray:
        """Return the means over the rows of every unknown, along the last axis."""
        return np.asarray(rows @ self._rows.T / self._counts)

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
                gain = ensemble.gain(u[k])
                value[k] = np.log(y[k] * gain)
                slope[k] = 1 / y[k] - ensemble.gain_derivative(u[k]) / gain
        return value.ravel(), slope.ravel()

    @np.errstate(divide="ignore", invalid="ignore", over="ignore")  # far off a solution
    def _linearised(self, x: np.ndarray, parts: list[RingSums]) -> _Linearised:
        sums = RingSums.together(parts)
        rests = self._mean(sums.rests) / sums.count

        def table(squares: np.ndarray, diagonal: np.ndarray | None = None) -> np.ndarray:
            rows = -squares if diagonal is None else np.diag(diagonal) - squares
            found = self._rows @ rows @ self._rows.T / self._counts[:, None] / sums.count
            return np.asarray(found if diagonal is not None else -found)

        by_x = (
            np.hstack([table(sums.right, sums.rests[0]), table(sums.across.T)]),
            np.hstack([table(sums.across), table(sums.left, sums.rests[1])]),
        )
        both, one = x.reshape(2, -1).sum(axis=0), np.eye(self.modes)
        residual, matrix = [], []
        for rest, slopes in zip(rests, by_x, strict=True):
            value, slope = self._log_products(1 - rest, rest)
            residual.append(both - value)
            matrix.append(np.hstack([one, one]) - slope[:, None] * slopes)
        return _Linearised(np.concatenate(residual), np.vstack(matrix), rests)

    def _from_nothing(self, transfers: list[Transfers]) -> np.ndarray:
        x = np.zeros(2 * self.modes)
        for _ in range(_DAMPED):
            sums = RingSums.together(self._sums(transfers, x))
            rests = self._mean(sums.rests) / sums.count
            products = np.array([self._log_products(1 - rest, rest)[0] for rest in rests])
            spread, cost = x.reshape(2, -1)
            moved = np.array([products[1] - cost, products[0] - spread])
            x = (x.reshape(2, -1) + moved) / 2
            x = (x - np.array([[1.0], [-1.0]]) * (x[0] - x[1]).mean() / 2).ravel()
        return x

    def _found(
        self, exponent: float, x: np.ndarray, transfers: list[Transfers], parts: list[RingSums],
        here: _Linearised,
    ) -> RingState:  # fmt: skip
        """Count the exponents above, and see how the solution moves on."""
        p, q = self._roots(x)
        count, size = self.sites.count, self.sites.states * self.sites.steps
        drifts = np.array(_mapped(lambda part: ring_drift(part, p, q), transfers))
        drift = self._mean(drifts.sum(axis=0)) / count
        slopes = [self._log_products(1 - rest, rest)[1] for rest in here.rests]
        speed = here.solved(np.concatenate([s * d for s, d in zip(slopes, drift, strict=True)]))
        # Of the potential only what sites do counts: it is stationary in p and q.
        shares, above = 1 - here.rests, []
        for each, part in zip(transfers, parts, strict=True):
            own = 1 - self._mean(part.rests) / part.count - shares
            moved = float(np.sum(self._counts * own * speed.reshape(2, -1))) / 2
            above.append(1 - each.kept - (part.passed / part.count + moved) / size)
        counts = np.array([part.count for part in parts])
        total = float(np.sum(counts * np.array(above)) / count)
        return RingState(exponent, x, speed, shares.mean(axis=0), total, np.array(above))


def _mapped(function: "Callable[..., Result]", parts: list) -> list[Result]:
    return list(map_samples(function, parts))
