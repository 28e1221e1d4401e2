r"""Moments of a T-step product with shared weights: its Dyson equation as a power series.

With :math:`\epsilon = 1/s^2`, self-energies and averages are 1/s times power series in epsilon,

.. math::
    M = \sum_k E_k S_k E_k^T + V V^T, \qquad R = (1 - \epsilon M C)^{-1}, \qquad
    g_y = \langle R M \rangle_{yy}, \qquad g_{e_k} = \langle E_k^T C R\, E_k \rangle,

with :math:`\Sigma_{e_k} = S_k / s`, C the costs on the sources and 1 on the states after the last
step, and linear maps E, V of all steps from the preactivations and from the states before the first
one.  Then :math:`m_{j+1} = \frac1d \langle \mathrm{tr}\, V^T C R\, V \rangle_j`.  An order of the
self-energies enters that of the averages linearly, through earlier (later) steps only; the small
linear equation is solved, and every order follows from the ones below.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.chain_moments import chain_moments
from rmt_jacobian.pencils.shared.chain import SharedChain
from rmt_jacobian.pencils.shared.matrices import multiplicities, packed, paired, symmetric, unpacked
from rmt_jacobian.pencils.shared.shooting import Shooting

__all__ = ["leading_self_energies", "shared_moments"]

_MOST_BYTES = 2**31  # of the coefficients at all sites


@chain_moments.register
def shared_moments(chain: SharedChain, order: int) -> list[float]:
    r"""Return :math:`m_0, \ldots, m_{order}` of :math:`J J^T`, J a product with shared weights.

    Parameters
    ----------
    chain
        T steps on given paths of sites.
    order
        The highest moment.

    Raises
    ------
    ParameterError
        If the order is negative, or the coefficients would not fit into memory.

    Examples
    --------
    The squares of one Gaussian matrix have the moments of its product with another one:

    >>> from rmt_jacobian.cells import compile_cell, vanilla
    >>> from rmt_jacobian.pencils import BlockHistory, GaussianWeights
    >>> zero = np.zeros(1)
    >>> step = compile_cell(vanilla).derivatives([zero], [zero], zero)  # J = W
    >>> chain = SharedChain.of(BlockHistory.of([step, step], vanilla), [GaussianWeights(1.0)])
    >>> [round(m, 9) for m in shared_moments(chain, 3)]  # Fuss-Catalan
    [1.0, 1.0, 3.0, 12.0]
    """
    if order < 0:
        raise ParameterError(f"the order of a moment must be 0 or more, not {order}")
    if chain.deterministic:
        return chain_moments(BlockChain(chain.sites, ()), order)
    series = _Series(chain, order)
    if order * series.bytes_each > _MOST_BYTES:
        raise ParameterError(
            f"{order} moments of {chain.steps} steps on {chain.sites.count} sites would take more "
            "than 2 GB: take fewer sites or steps, or law.expect(lambda x: x**n)"
        )
    found = [1.0]
    for j in range(order):
        series.advance()
        found.append(series.moment(j))
    return found


def leading_self_energies(chain: SharedChain) -> np.ndarray:
    """Return s times the self-energies for s -> infinity, shape (blocks,).

    Raises
    ------
    HypothesisError
        If no W is left, or at some step no site reads one or passes on what it gives.
    """
    if chain.deterministic:
        raise HypothesisError("no W passes anything on, so that none is shared: take a BlockChain")
    series = _Series(chain, 1)
    series.advance()
    found = series.spreads[0], series.costs[0]
    for each in found:
        for name, matrix in zip(chain.sites.names, each, strict=True):
            silent = np.flatnonzero(np.diagonal(matrix) <= 0)
            if len(silent):
                raise HypothesisError(
                    f"the W of {name} does nothing at step {silent[0] + 1} at any of the "
                    f"{chain.sites.count} sites: take more sites, or gates that are open at some"
                )
    return chain.vector(*found)


def _in_states(maps: Shooting) -> Shooting:
    """Return maps whose last rows are the states after the last step themselves."""
    xp, d = array_namespace(maps.nodes), maps.states
    P = xp.linalg.inv(maps.ends)

    def mixed(array: Any) -> Any:
        return xp.concat([array[:, :-d, :], P @ array[:, -d:, :]], axis=1)

    gates = tuple(mixed(gate) for gate in maps.gates)
    return replace(maps, gates=gates, nodes=mixed(maps.nodes))


class _Series:
    """Coefficients so far: of S and C of every W, and of M, R and M C at the sites."""

    def __init__(self, chain: SharedChain, order: int) -> None:
        self.chain, self.order = chain, order
        self.maps = _in_states(Shooting.of(chain.sites, chain.steps))
        self.spreads: list[np.ndarray] = []
        self.costs: list[np.ndarray] = []
        self.of_y: list[np.ndarray] = []
        self.of_e: list[np.ndarray] = []
        self.covariances: list[Any] = []
        self.passed: list[Any] = []
        self.products: list[Any] = []

    @property
    def xp(self) -> Any:
        return array_namespace(self.maps.nodes)

    @property
    def bytes_each(self) -> int:
        """What the coefficients of one order take."""
        return 3 * 8 * self.chain.sites.count * self.maps.outputs**2

    @cached_property
    def gates(self) -> list[Any]:
        return [self.xp.real(gate) for gate in self.maps.gates]

    @cached_property
    def nodes(self) -> Any:
        return self.xp.real(self.maps.nodes)

    @cached_property
    def weights(self) -> Any:
        return self.xp.real(self.maps.weights)

    @cached_property
    def gains(self) -> list[np.ndarray]:
        """The series of gamma of every W."""
        return [ensemble.gain_series(max(1, self.order)) for ensemble in self.chain.ensembles]

    @cached_property
    def passing(self) -> np.ndarray:
        r"""The matrix of :math:`S \mapsto g_y` at the same order, packed, (K m, K m)."""
        T, K, sources = self.chain.steps, self.chain.gates, self.chain.sites.sources
        twice = multiplicities(T)
        blocks = []
        for source in sources:
            line = []
            for gate in self.gates:
                flat = gate[:, source * T : (source + 1) * T, :]
                flat = self.xp.reshape(flat, (flat.shape[0], T * T))
                both = to_numpy(self.xp.matrix_transpose(self.weights[:, None] * flat) @ flat)
                line.append(paired(both, T) * twice)
            blocks.append(line)
        return np.block(blocks).reshape(K * len(twice), K * len(twice))

    def advance(self) -> None:
        """Find one more order."""
        j, xp = len(self.spreads), self.xp
        known = None  # what lower orders give to M R at order j, but for M_j
        if j:
            self.products.append(self._product(j - 1))
            reached = sum(self.products[i] @ self.passed[j - 1 - i] for i in range(j))
            self.passed.append(reached)
            pairs = range(1, j + 1)
            known = sum(self.passed[i] @ self.covariances[j - i] for i in pairs)
        else:
            one = xp.eye(self.maps.outputs, dtype=xp.float64)
            self.passed.append(one[None, :, :] + 0 * self.nodes[:, :1, :1])
        self._find_spreads(j, known)
        self.covariances.append(self._covariance(self.spreads[j], first=j == 0))
        self._find_costs(j)

    def _find_spreads(self, j: int, known: Any) -> None:
        """Solve for S_j and g_y at order j."""
        T = self.chain.steps
        base = self.nodes @ self.xp.matrix_transpose(self.nodes) if j == 0 else known
        constant = self._of_sources(base)
        rest = self._rest(j, self.of_y, left=False)
        gains = np.array([series[0] for series in self.gains])
        right = gains[:, None, None] * constant + rest
        found = self._solved(self._forth, right)
        self.spreads.append(found)
        self.of_y.append(constant + unpacked(
            (self.passing @ packed(found).ravel()).reshape(len(found), -1), T))  # fmt: skip

    def _find_costs(self, j: int) -> None:
        """Solve for C_j and g_e at order j."""
        T, back = self.chain.steps, self.passing_back
        constant = self._of_gates(self._cost_products(j))
        rest = self._rest(j, self.of_e, left=True)
        gains = np.array([series[0] for series in self.gains])
        found = self._solved(self._back, gains[:, None, None] * constant + rest)
        self.costs.append(found)
        self.of_e.append(constant + unpacked(
            (back @ packed(found).ravel()).reshape(len(found), -1), T))  # fmt: skip

    @cached_property
    def passing_back(self) -> np.ndarray:
        r"""The matrix of :math:`C \mapsto g_e` at the same order, packed, (K m, K m)."""
        twice = np.tile(multiplicities(self.chain.steps), self.chain.gates)
        return (self.passing * (1 / twice)[None, :]).T * twice[None, :]

    @cached_property
    def _forth(self) -> np.ndarray:
        return self._inverse(self.passing)

    @cached_property
    def _back(self) -> np.ndarray:
        return self._inverse(self.passing_back)

    def _inverse(self, passing: np.ndarray) -> np.ndarray:
        """Return the inverse of what every order is solved with."""
        each = len(passing) // self.chain.gates
        gains = np.repeat([series[0] for series in self.gains], each)
        return np.linalg.inv(np.eye(len(gains)) - gains[:, None] * passing)

    def _solved(self, inverse: np.ndarray, right: np.ndarray) -> np.ndarray:
        T, m = self.chain.steps, packed(right).shape[-1]
        flat = inverse @ packed(symmetric(right)).ravel()
        return unpacked(flat.reshape(-1, m), T)

    def _rest(self, j: int, averages: list[np.ndarray], *, left: bool) -> np.ndarray:
        """Return what gamma(U) less its constant makes of lower orders of averages."""
        found = np.zeros((self.chain.gates, self.chain.steps, self.chain.steps))
        for k, functions in enumerate(self._functions(j)):
            for i in range(1, j + 1):
                g = averages[j - i][k]
                found[k] += g @ functions[i] if left else functions[i] @ g
        return found

    def _functions(self, j: int) -> list[list[np.ndarray]]:
        """Return the coefficients 0 to j of gamma(U) of every W, U = epsilon S g_e."""
        T, found = self.chain.steps, []
        for k, gains in enumerate(self.gains):
            u = [np.zeros((T, T))] + [
                sum((self.spreads[a][k] @ self.of_e[i - 1 - a][k] for a in range(i)),
                    np.zeros((T, T)))
                for i in range(1, j + 1)
            ]  # fmt: skip
            power = [np.eye(T)] + [np.zeros((T, T))] * j
            total = [gains[0] * each for each in power]
            for n in range(1, j + 1):
                power = [
                    sum((power[a] @ u[i - a] for a in range(i + 1)), np.zeros((T, T)))
                    for i in range(j + 1)
                ]
                total = [each + gains[n] * term for each, term in zip(total, power, strict=True)]
            found.append(total)
        return found

    def _covariance(self, spreads: np.ndarray, *, first: bool) -> Any:
        xp = self.xp
        total = self.nodes @ xp.matrix_transpose(self.nodes) if first else 0.0
        for gate, spread in zip(self.gates, spreads, strict=True):
            total = total + gate @ xp.asarray(spread) @ xp.matrix_transpose(gate)
        return total

    def _cost(self, j: int) -> np.ndarray:
        """Return the matrix C at order j, shape (S T + d, S T + d)."""
        found = self._ends() if j == 0 else np.zeros((self.maps.outputs, self.maps.outputs))
        sourced = self.maps.sourced
        found[:sourced, :sourced] = np.real(self.chain.total_costs(self.costs[j]))
        return found

    def _ends(self) -> np.ndarray:
        """Return the cost 1 on the states after the last step."""
        found = np.zeros((self.maps.outputs, self.maps.outputs))
        ends = np.arange(self.maps.sourced, self.maps.outputs)
        found[ends, ends] = 1.0
        return found

    def _product(self, j: int) -> Any:
        """Return M C at an order."""
        costs = [self.xp.asarray(self._cost(i)) for i in range(j + 1)]
        return sum(self.covariances[a] @ costs[j - a] for a in range(j + 1))

    def _cost_products(self, j: int) -> Any:
        """Return C R at order j at the sites, but for the costs on sources at order j."""
        xp = self.xp
        total = sum(
            (xp.asarray(self._cost(i)) @ self.passed[j - i] for i in range(j)),
            0 * self.covariances[0],
        )
        return total + xp.asarray(self._ends()) if j == 0 else total

    def _of_sources(self, matrices: Any) -> np.ndarray:
        """Return the averages of what belongs to the source of every W, shape (K, T, T)."""
        T = self.chain.steps
        whole = to_numpy(self.xp.sum(self.weights[:, None, None] * matrices, axis=0))
        cuts = [slice(q * T, (q + 1) * T) for q in self.chain.sites.sources]
        return symmetric(np.array([whole[cut, cut] for cut in cuts]))

    def _of_gates(self, matrices: Any) -> np.ndarray:
        r"""Return the averages of :math:`E_k^T X E_k`, shape (K, T, T)."""
        xp = self.xp
        each = (xp.matrix_transpose(gate) @ (matrices @ gate) for gate in self.gates)
        found = [xp.sum(self.weights[:, None, None] * one, axis=0) for one in each]
        return symmetric(np.array([to_numpy(one) for one in found]))

    def moment(self, j: int) -> float:
        """Return m_{j + 1}."""
        xp = self.xp
        whole = sum(xp.asarray(self._cost(i)) @ self.passed[j - i] for i in range(j + 1))
        squares = xp.sum(self.nodes * (whole @ self.nodes), axis=(1, 2))
        return float(xp.sum(self.weights * squares)) / self.chain.sites.states
