r"""How a small change grows in a network that keeps its weights: a recursion over pairs of times.

A change obeys the linearised equations of the sites along their paths,

.. math::
    \delta s_t = A_t \, \delta s_{t-1} + B_t \, \delta e_t, \qquad
    \delta e_{k,t} = (W_k \, \delta y_k)_t, \qquad
    \delta y_{k,t} = c_{k,t} \cdot \delta s_{t-1} + \sum_{l<k} D_{kl,t} \, \delta e_{l,t} .

The same W acts at every step, so that the changes of a preactivation at two times are correlated,

.. math::
    E[\delta e_{k,s} \, \delta e_{k,t}] = \sigma_k^2 K_k(s, t), \qquad
    K_k(s, t) = \langle \delta y_{k,s} \, \delta y_{k,t} \rangle ,

at every site alike, and independent of the path of the site: given the preactivations of T steps, W
is a fresh one plus a matrix of rank T.  For fresh weights K vanishes off s = t, which leaves
:math:`\chi_1^T` of the untied theory.  It is the same for every bi-invariant W.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.cells import StepDerivatives
from rmt_jacobian.mean_field.replicated.solver import half_width
from rmt_jacobian.mean_field.sites.weighted import Sites

__all__ = ["Paths", "TiedGrowth", "tied_growth", "tied_mean_squares"]

_Table = Mapping[tuple[int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Paths:
    """The diagonals of the Jacobians along the paths of sites, over T steps.

    Attributes
    ----------
    state, gate, source_state, source_gate
        A, B, c and D: entries that do not vanish by row and column, each of shape (T, sites).
    weights
        The share of every site in averages, shape (sites,).
    states, gates
        Numbers of states and of preactivations.
    """

    state: _Table
    gate: _Table
    source_state: _Table
    source_gate: _Table
    weights: np.ndarray
    states: int
    gates: int

    @classmethod
    def of(
        cls, steps: Sequence[StepDerivatives], weights: np.ndarray, states: int, gates: int
    ) -> "Paths":
        """Stack the derivatives of successive steps at the same sites."""

        def stacked(name: str) -> dict[tuple[int, int], np.ndarray]:
            tables = [getattr(step, name) for step in steps]
            return {
                key: np.stack([np.broadcast_to(table[key], weights.shape) for table in tables])
                for key in tables[0]
            }

        return cls(
            stacked("state"), stacked("gate"), stacked("source_state"), stacked("source_gate"),
            np.asarray(weights), states, gates,
        )  # fmt: skip

    @classmethod
    def of_sites(cls, path: Sequence[Sites]) -> "Paths":
        """Take the derivatives along a path of sites."""
        cell = path[0].cell
        steps = [sites.derivatives for sites in path]
        return cls.of(steps, path[0].weights, len(cell.states), len(cell.gates))

    def part(self, sites: slice) -> "Paths":
        """Return some of the sites, with equal weights."""

        def some(table: _Table) -> dict[tuple[int, int], np.ndarray]:
            return {key: values[:, sites] for key, values in table.items()}

        count = len(self.weights[sites])
        return Paths(
            some(self.state), some(self.gate), some(self.source_state), some(self.source_gate),
            np.full(count, 1 / count), self.states, self.gates,
        )  # fmt: skip

    @property
    def steps(self) -> int:
        """T."""
        return len(next(iter({**self.state, **self.gate}.values())))


def tied_mean_squares(paths: Paths, variances: Sequence[float]) -> np.ndarray:
    r"""Return the mean squared singular value of 0, 1, ..., T steps that share their weights.

    Parameters
    ----------
    paths
        Of sites in the steady state of a network that keeps its weights.
    variances
        :math:`\sigma_k^2` of every W.

    Returns
    -------
    ndarray
        m_1(0) = 1, m_1(1), ..., m_1(T), shape (T + 1,).

    Notes
    -----
    Takes :math:`O(T^2)` operations and :math:`O(T)` numbers a site.  Assumes N -> infinity and W
    that are bi-invariant and independent of each other.

    Examples
    --------
    A vanilla cell remembers nothing by itself, and does not tell tied weights from fresh ones:

    >>> B = np.linspace(0.2, 1.0, 5)
    >>> step = StepDerivatives({}, {(0, 0): B}, {(0, 0): 1.0}, {})
    >>> paths = Paths.of([step] * 3, np.full(5, 0.2), 1, 1)
    >>> chi = 2.0 * np.mean(B**2)
    >>> np.allclose(tied_mean_squares(paths, [2.0]), chi ** np.arange(4))
    True
    """
    found, recursion = [1.0], _Recursion(paths, np.asarray(variances, dtype=float))
    for t in range(1, paths.steps + 1):
        found.append(recursion.step(t))
    return np.array(found)


@dataclass(frozen=True, eq=False)
class TiedGrowth:
    """The mean squared singular value of 0, 1, ..., T steps that share their weights.

    Attributes
    ----------
    mean_squares
        m_1(t), shape (T + 1,).
    samples
        Estimates by groups of sites, shape (groups, T + 1), whose scatter is the error.
    """

    mean_squares: np.ndarray
    samples: np.ndarray

    @property
    def steps(self) -> int:
        """T."""
        return len(self.mean_squares) - 1

    def rate(self, steps: int, since: int = 0) -> tuple[float, float]:
        r"""Return the growth a step, and the half width of its 95 % interval.

        .. math:: \bigl( m_1(t) / m_1(t_0) \bigr)^{1 / (t - t_0)}

        Parameters
        ----------
        steps, since
            t and t_0 < t.
        """

        def of(values: np.ndarray) -> np.ndarray:
            ends = values[..., [since, steps]]
            with np.errstate(divide="ignore", invalid="ignore"):
                found = (ends[..., 1] / ends[..., 0]) ** (1 / (steps - since))
            return np.where(ends[..., 1] > 0, found, 0.0)

        return float(of(self.mean_squares)), float(half_width(of(self.samples)))


def tied_growth(paths: Paths, variances: Sequence[float], groups: int) -> TiedGrowth:
    """Return the growth along paths, and along those of each group of the sites by itself.

    Parameters
    ----------
    paths, variances
        As of :func:`tied_mean_squares`.
    groups
        How many groups of successive sites there are.
    """
    share = len(paths.weights) // groups
    parts = [paths.part(slice(k * share, (k + 1) * share)) for k in range(groups)]
    return TiedGrowth(
        tied_mean_squares(paths, variances),
        np.array([tied_mean_squares(part, variances) for part in parts]),
    )


class _Recursion:
    """All covariances with what happens at the latest time.

    ``covariance[i, j][t]`` is E[ds_i(now) ds_j(t)]; ``earlier[k][i][t]`` is E[de_k(t) ds_i(now)].
    """

    def __init__(self, paths: Paths, variances: np.ndarray) -> None:
        self.paths, self.variances = paths, variances
        T, d, sites = paths.steps, paths.states, len(paths.weights)
        self.covariance = np.zeros((d, d, T + 1, sites))
        for i in range(d):
            self.covariance[i, i, 0] = 1.0
        # Only sources that read a preactivation of the same step ask for what came before.
        asked = paths.gates if paths.source_gate else 0
        self.earlier = np.zeros((asked, d, T + 1, sites))
        self.alike = [self._first_alike(k) for k in range(paths.gates)]

    def _first_alike(self, k: int) -> int:
        """Return the first preactivation with the same source, which may be k itself."""
        tables = (self.paths.source_state, self.paths.source_gate)

        def source(row: int) -> list[dict[int, np.ndarray]]:
            return [{j: each for (i, j), each in table.items() if i == row} for table in tables]

        own = source(k)
        for m in range(k):
            other = source(m)
            if all(
                a.keys() == b.keys() and all(np.array_equal(a[j], b[j]) for j in a)
                for a, b in zip(own, other, strict=True)
            ):
                return m
        return k

    def step(self, s: int) -> float:
        """Go on to time s, and return m_1(s)."""
        paths, d = self.paths, self.paths.states
        spread: list[np.ndarray] = []  # sigma_k^2 K_k(s, t) at t = 1, ..., s
        latest: list[np.ndarray] = []  # E[de_k(s) ds_i(t)], shape (d, s + 1, sites)
        shared: dict[int, np.ndarray] = {}
        for k in range(paths.gates):
            first = self.alike[k]
            if first not in shared:
                shared[first] = self._source_covariances(k, s, spread, latest)
            spread.append(self.variances[k] * shared[first])
            latest.append(self._responses(k, s, spread[k]))
        moved = np.zeros_like(self.covariance)
        moved[:, :, :s] = self._carried(self.covariance[:, :, :s], s)
        for (i, k), B in paths.gate.items():
            moved[i, :, :s] += B[s - 1] * latest[k][:, :s]
        # The covariance with the new state itself: what it was with the old one, turned round.
        moved[:, :, s] = self._carried(np.swapaxes(moved[:, :, s - 1], 0, 1), s)
        for (i, k), B in paths.gate.items():
            moved[i, :, s] += B[s - 1] * latest[k][:, s]
        self.covariance = moved
        for k in range(len(self.earlier)):
            before = self.earlier[k][:, :s]
            carried = self._carried(before, s)
            for (i, column), B in paths.gate.items():
                if column == k:
                    carried[i, 1:s] += np.multiply.outer(spread[k][:-1], B[s - 1])
            self.earlier[k][:, :s] = carried
            self.earlier[k][:, s] = latest[k][:, s]
        squares = sum(moved[i, i, s] @ paths.weights for i in range(d))
        return float(squares) / d

    def _carried(self, rows: np.ndarray, s: int) -> np.ndarray:
        """Multiply by A_s along the first axis, the states."""
        found = np.zeros_like(rows)
        for (i, j), A in self.paths.state.items():
            found[i] += A[s - 1] * rows[j]
        return found

    def _source_covariances(
        self, k: int, s: int, spread: list[np.ndarray], latest: list[np.ndarray]
    ) -> np.ndarray:
        """Return K_k(s, t) at t = 1, ..., s, shape (s,)."""
        c = {i: each for (row, i), each in self.paths.source_state.items() if row == k}
        D = {m: each for (row, m), each in self.paths.source_gate.items() if row == k}
        found: Any = np.zeros((s, len(self.paths.weights)))
        for i, now in c.items():
            for j, then in c.items():
                found += now[s - 1] * then[:s] * self.covariance[i, j, :s]
            for m, then in D.items():
                found[:-1] += now[s - 1] * then[: s - 1] * self.earlier[m, i, 1:s]
                found[-1] += now[s - 1] * then[s - 1] * latest[m][i, s - 1]
        for m, now in D.items():
            for j, then in c.items():
                found += now[s - 1] * then[:s] * latest[m][j, :s]
            found += now[s - 1] * D[m][:s] * spread[m][:, None]
        return found @ self.paths.weights

    def _responses(self, k: int, s: int, spread: np.ndarray) -> np.ndarray:
        """Return E[de_k(s) ds_i(t)] at t = 0, ..., s."""
        paths = self.paths
        found = np.zeros((paths.states, s + 1, len(paths.weights)))
        own = [(i, B) for (i, column), B in paths.gate.items() if column == k]
        for t in range(1, s + 1):
            for (i, j), A in paths.state.items():
                found[i, t] += A[t - 1] * found[j, t - 1]
            for i, B in own:
                found[i, t] += spread[t - 1] * B[t - 1]
        return found
