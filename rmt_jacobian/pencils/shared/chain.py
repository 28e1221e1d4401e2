r"""The chain of a T-step product whose W are shared by all steps, and its Dyson equation.

One W at T places couples self-energies that are symmetric T x T matrices,

.. math::
    \Sigma_{e_k} = \gamma_k(U_k)\, g_{y_k}, \qquad \Sigma_{y_k} = g_{e_k} \gamma_k(U_k), \qquad
    U_k = \Sigma_{e_k} g_{e_k} = (\Sigma_{y_k} g_{y_k})^T,

with matrix functions of U.  At a site :math:`\Sigma_{e_k}` acts like the covariance of Gaussian
variables :math:`e_{k,1}, \ldots, e_{k,T}` and :math:`\Sigma_{y_k}` like a quadratic cost on
:math:`y_{k,1}, \ldots, y_{k,T}`.  The diagonals may be taken as free from W, though they are made
by it: given the preactivations of T steps, W is a fresh one plus a matrix of rank T.  With diagonal
self-energies this is the chain of fresh weights, :class:`.BlockChain`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from array_api_compat import is_numpy_array

from rmt_jacobian.arrays import Device
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.history import BlockHistory
from rmt_jacobian.pencils.chain.product_chain import Responses
from rmt_jacobian.pencils.ensembles import BiInvariant
from rmt_jacobian.pencils.shared.couplings import coupled_potential
from rmt_jacobian.pencils.shared.matrices import (
    determinant_above,
    inverse,
    multiplicities,
    packed,
    packed_count,
    symmetric,
    unpacked,
)
from rmt_jacobian.pencils.shared.resolvent import SiteResolvent
from rmt_jacobian.pencils.shared.shooting import Shooting
from rmt_jacobian.pencils.shared.sums import PointAverages, averaged, responding

__all__ = ["SharedChain"]

_GROWN = 1e2  # by what changes may differ from those of the singular values in a stretch
_HELD = 3  # stretches whose maps are kept
_PORTION_BYTES = 2**22  # of one array of site matrices


@dataclass(frozen=True, eq=False)
class SharedChain:
    r"""The chain of a T-step product of Jacobians that share their W, on given paths of sites.

    Self-energies and averages are held as vectors, shape (points, 2 K T (T + 1) / 2): the upper
    triangles of the K matrices of e, then of the K of y.  They, and spectral points, live on the
    host; sites may be elsewhere.

    Parameters
    ----------
    sites
        The site matrices of every step, along the path of each site.
    ensembles
        The law of every W_k, K of them, independent of each other.
    stretch
        After how many steps the states are variables of their own; by default as many as the
        spectral point allows, fewer for small s.

    Notes
    -----
    Assumes bi-invariant W, N -> infinity for W alone.

    Examples
    --------
    A vanilla cell cannot tell shared weights from fresh ones:

    >>> import numpy as np
    >>> from rmt_jacobian.cells import compile_cell, vanilla
    >>> from rmt_jacobian.pencils import GaussianWeights, solve_chain
    >>> zero = np.zeros(1)
    >>> step = compile_cell(vanilla).derivatives([zero], [zero], zero)  # J = W
    >>> history = BlockHistory.of([step, step], vanilla)
    >>> shared = SharedChain.of(history, [GaussianWeights(1.0)])
    >>> fresh = BlockChain.of(history, [GaussianWeights(1.0)])
    >>> s = np.array([1.0 + 0j])
    >>> bool(np.allclose(*(solve_chain(each, s).cauchy for each in (shared, fresh)), atol=1e-9))
    True
    """

    sites: BlockHistory
    ensembles: tuple[BiInvariant, ...]
    stretch: int | None = None

    easy: ClassVar[int] = 4
    straight: ClassVar[bool] = True

    @classmethod
    def of(
        cls, sites: BlockHistory, ensembles: Sequence[BiInvariant] | Mapping[str, BiInvariant]
    ) -> "SharedChain":
        """Return the chain without the preactivations whose W is 0 or that pass nothing on.

        Parameters
        ----------
        sites
            The site matrices of every step.
        ensembles
            The law of every W, in the order of ``sites.names`` or by these names.

        Raises
        ------
        ParameterError
            If an ensemble is missing.
        """
        fresh = BlockChain.of(sites, ensembles)
        return cls(fresh.sites, fresh.ensembles)

    def on(self, device: Device | ModuleType) -> "SharedChain":
        """Return the same with the sites on a device; see :func:`.namespace`."""
        return replace(self, sites=self.sites.on(device))

    @property
    def namespace(self) -> ModuleType:
        """The array namespace of spectral points and self-energies, NumPy."""
        return np

    @property
    def steps(self) -> int:
        """T."""
        return self.sites.steps

    @property
    def gates(self) -> int:
        """K."""
        return self.sites.gates

    @property
    def size(self) -> int:
        """T^2 times the number of sites: that of the entries of their matrices."""
        return self.sites.steps**2 * self.sites.count

    @property
    def blocks(self) -> int:
        """The number of different entries of the self-energies."""
        return 2 * self.gates * packed_count(self.steps)

    @property
    def lost(self) -> float:
        """The share of singular values that are 0."""
        return self.sites.lost

    @property
    def deterministic(self) -> bool:
        """Whether no W is left."""
        return not self.ensembles

    @property
    def reach(self) -> float:
        """A bound on the singular values, loose; a number up to 1e100."""
        return BlockChain(self.sites, self.ensembles).reach

    def _stretch(self, s: complex) -> int:
        """Return over how many steps a site may remember all while s is what T steps make of 1."""
        if self.stretch is not None:
            return min(self.stretch, self.steps)
        shrink = -math.log(min(abs(s), 1 / _GROWN)) / self.steps  # a step
        most = max(1.0, math.log(_GROWN) / shrink)
        return min(2 ** int(math.log2(most)), self.steps)

    def parts(self, s: complex) -> list[Shooting]:
        """Return portions of the sites that fit into a cache; on a GPU all in one."""
        stretch = self._stretch(s)
        known = self._cut.get(stretch)  # other threads may drop it
        if known is None:
            maps, count = Shooting.of(self.sites, stretch), self.sites.count
            share = max(16, _PORTION_BYTES // (16 * maps.size**2))
            share = share if is_numpy_array(maps.weights) else count
            parts = [maps.part(slice(cut, cut + share)) for cut in range(0, count, share)]
            for other in list(self._cut)[: 1 - _HELD]:  # maps of all sites are large
                self._cut.pop(other, None)
            self._cut[stretch] = parts
            return parts
        return known

    @cached_property
    def _cut(self) -> dict[int, list[Shooting]]:
        return {}

    def matrices(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrices of e and of y in a vector of entries, shape (..., K, T, T) each."""
        each = values.reshape(*values.shape[:-1], 2 * self.gates, packed_count(self.steps))
        found = unpacked(each, self.steps)
        return found[..., : self.gates, :, :], found[..., self.gates :, :, :]

    def vector(self, e: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the entries of the matrices of e and of y, shape (..., blocks)."""
        both = packed(symmetric(np.concatenate([e, y], axis=-3)))
        return both.reshape(*both.shape[:-2], self.blocks)

    def total_costs(self, y: np.ndarray) -> np.ndarray:
        """Return the costs on the sources, each of which many preactivations may multiply."""
        T, S = self.steps, self.sites.source_count
        found = np.zeros((S * T, S * T), dtype=complex)
        for source, cost in zip(self.sites.sources, y, strict=True):
            at = slice(source * T, (source + 1) * T)
            found[at, at] += cost
        return found

    def resolvents(self, s: complex, sigma: np.ndarray) -> Iterator[SiteResolvent]:
        """Yield the matrices of the sites, a portion at a time."""
        e, y = self.matrices(sigma)
        costs = self.total_costs(y)
        inverse_costs = inverse(costs)
        for part in self.parts(s):
            yield SiteResolvent(part, complex(s), e, costs, inverse_costs)

    def leading(self, s: np.ndarray) -> np.ndarray:
        """Return the self-energies to leading order in 1/s, shape (points, blocks)."""
        return self._leading[None, :] / s[:, None]

    @cached_property
    def _leading(self) -> np.ndarray:
        from rmt_jacobian.pencils.shared.moments import leading_self_energies

        return leading_self_energies(self)

    def averages(self, s: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return the averages at spectral points, shape (points, blocks).

        Parameters
        ----------
        s
            Spectral points in the closed upper half plane, not 0; shape (points,).
        sigma
            Self-energies with negative semidefinite imaginary parts, shape (points, blocks).
        """
        return np.stack(
            [self._vector(self._averaged(*each)) for each in zip(s, sigma, strict=True)]
        )

    def cauchy(self, s: np.ndarray, sigma: np.ndarray, averages: np.ndarray) -> np.ndarray:
        """Return G(s) of the symmetrised singular values, shape (points,)."""
        del averages
        return np.array([self._averaged(*each).cauchy for each in zip(s, sigma, strict=True)])

    def _averaged(self, s: complex, sigma: np.ndarray) -> PointAverages:
        return averaged(self.resolvents(s, sigma))

    def _vector(self, found: PointAverages) -> np.ndarray:
        return self.vector(found.e, found.y[list(self.sites.sources)])

    def responses(self, s: np.ndarray, sigma: np.ndarray) -> Responses:
        """Return the averages with their derivatives."""
        found = [self._responses(*each) for each in zip(s, sigma, strict=True)]
        return Responses(*(np.stack(each) for each in zip(*found, strict=True)))

    def _responses(self, s: complex, sigma: np.ndarray) -> tuple[Any, ...]:
        found = responding(self.resolvents(s, sigma))
        K, twice = self.gates, multiplicities(self.steps)
        groups = [*range(K), *(K + source for source in self.sites.sources)]

        def slope(a: int, b: int) -> np.ndarray:
            return found.slopes[a, b] if a <= b else found.slopes[b, a].T

        matrix = np.block([[slope(a, b) * twice for b in groups] for a in groups])
        row = np.concatenate([found.cauchy_row[a] * twice for a in groups])
        drift = np.concatenate([found.drift[a] for a in groups])
        averages = self._vector(found.averages)
        return averages, matrix, drift, found.averages.cauchy, row, found.cauchy_drift

    def potential(self, s: np.ndarray, sigma: np.ndarray, g: np.ndarray) -> np.ndarray:
        r"""Return the logarithmic potential, shape (points,).

        .. math::
            F(s) = \tau \log(s^2 - J J^T) = \frac1d \bigl( \langle \log \det L \rangle
            - \log \det \Sigma_y^{-1} + \sum_k \mathrm{Tr}\, p_k(U_k) \bigr)

        continued off the solutions so that it is stationary there.
        """
        found = []
        for each in zip(s, sigma, g, strict=True):
            found.append(self._potential(*each))
        return np.array(found)

    def _potential(self, s: complex, sigma: np.ndarray, g: np.ndarray) -> complex:
        (spreads, costs), (g_e, g_y) = self.matrices(sigma), self.matrices(g)
        total = 0j
        for site in self.resolvents(s, sigma):
            total += complex(site.xp.sum(site.determinant() * site.shooting.weights))
        total -= complex(determinant_above(inverse(self.total_costs(costs))))
        for each in zip(self.ensembles, spreads, costs, g_e, g_y, strict=True):
            total += coupled_potential(*each)
        return total / self.sites.states
