r"""How small changes echo in populations of sites: the response series of a stationary network.

With :math:`v_k = \sigma_k^2 E[\delta y_k \delta y_k']` of a step, which every site sees alike,

.. math::
    v(t) = R^{(0)} \text{ of what is there at first} + \sum_{n \ge 1} R_n v(t - n),

where R_n is what a change of a preactivation is to the sources n steps later, carried by the sites
alone.  The growth rate is the largest lambda with an eigenvalue 1 of
:math:`\sum_n R_n \lambda^{-n}`.  Ever fewer sites carry what is left of a change; they are split,
and the others dropped, before they are too few.

Changes are followed by derivatives almost everywhere, which do not see jumps.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmt_jacobian.cells import StepDerivatives
from rmt_jacobian.mean_field.memory.response import MemoryResponse
from rmt_jacobian.mean_field.populations.response_rates import leading_rate
from rmt_jacobian.mean_field.populations.site_models import Drives
from rmt_jacobian.mean_field.populations.walk import REPLICATES, Walk

__all__ = ["PopulationResponses", "of_one_sign", "pseudo_values"]

_FEW = 0.5  # share of the sites that carry a change, below which they are split
_EVENED = 0.15  # power of weights by which sites of frozen biases are split
_HIDDEN = 0.5  # relative error beyond which a response is noise
_ALIKE = 0.1  # relative scatter of the moduli of rates that differ in their signs alone
_TAIL = 4  # a quarter of the series shows how it goes on


@dataclass(frozen=True, eq=False)
class PopulationResponses:
    r"""Responses of R populations over N steps, each divided by :math:`e^{\text{log\_size}}`.

    The first column is a unit change of all states, the others are one of each preactivation.

    Attributes
    ----------
    echoes
        :math:`v` of the step after n steps by the sites alone, n = 0, ..., N - 1, of shape
        (R, N, K, 1 + K).
    traces
        The mean square of a change of the states after n steps, n = 0, ..., N, of shape
        (R, N + 1, 1 + K).
    log_size
        Shape (R, N + 1, 1 + K).
    """

    echoes: np.ndarray
    traces: np.ndarray
    log_size: np.ndarray

    @classmethod
    def of(cls, walk: Walk, steps: int, starts: int = 1) -> "PopulationResponses":
        """Follow changes that start in a stationary walk, several times.

        Parameters
        ----------
        walk
            The walk; it is left where the last of the changes started.
        steps
            N, at least 1.
        starts
            How often, a step apart.
        """
        runs = [_Echo(walk).run(steps) for _ in range(starts)]
        if starts == 1:
            return runs[0]
        log_size = np.max([run.log_size for run in runs], axis=0)
        scaled = [np.exp(_difference(run.log_size, log_size)) for run in runs]
        echoes = [run.echoes * scale[:, :-1, None]
                  for run, scale in zip(runs, scaled, strict=True)]  # fmt: skip
        traces = [run.traces * scale for run, scale in zip(runs, scaled, strict=True)]
        return cls(np.mean(echoes, axis=0), np.mean(traces, axis=0), log_size)

    @property
    def steps(self) -> int:
        """N."""
        return self.echoes.shape[1]

    @property
    def reliable(self) -> int:
        """How many first steps stand above their noise, and one more, which tells what follows.

        A small one does not end them: what comes later may be large.
        """
        series = self._series
        mean, scatter = series.mean(axis=0), series.std(axis=0, ddof=1) / math.sqrt(len(series))
        seen = scatter.max(axis=(1, 2)) <= _HIDDEN * np.abs(mean).max(axis=(1, 2))
        return min(self.steps, int(np.flatnonzero(seen)[-1]) + 2) if seen.any() else 1

    def left_out(self) -> "PopulationResponses":
        """Return the averages of all populations but one, for each in turn.

        Rates are no linear functions of responses, and may leap where single ones are noisy.
        """
        R = len(self.echoes)
        others = (1 - np.eye(R)) / (R - 1)
        log_size = np.broadcast_to(self.log_size.max(axis=0), self.log_size.shape)
        scale = np.exp(_difference(self.log_size, log_size))
        echoes, traces = self.echoes * scale[:, :-1, None], self.traces * scale
        return PopulationResponses(
            np.tensordot(others, echoes, 1), np.tensordot(others, traces, 1), log_size
        )

    def shortened(self, steps: int) -> "PopulationResponses":
        """Return the first of the steps."""
        return replace(
            self, echoes=self.echoes[:, :steps], traces=self.traces[:, : steps + 1],
            log_size=self.log_size[:, : steps + 1],
        )  # fmt: skip

    @property
    def kept(self) -> np.ndarray:
        """What sites alone keep of a squared change a step, at the end of the series: (R,)."""
        late = self.steps - max(1, self.steps // _TAIL)
        first, last = (np.abs(self.traces[:, n, 0]) for n in (late, self.steps))
        with np.errstate(divide="ignore", invalid="ignore"):
            fall = self.log_size[:, late, 0] - self.log_size[:, -1, 0]
            rise = np.log(last) - np.log(first) - fall
        return np.where(last > 0, np.exp(rise / (self.steps - late)), 0.0)

    def growth_rates(self, kept: np.ndarray, *, cancels: bool = False) -> np.ndarray:
        """Return the growth rate of each population, of which the memory keeps so much: (R,).

        For ``cancels`` see :func:`.leading_rate`.
        """
        rates = [
            leading_rate(each, k, cancels=cancels)
            for each, k in zip(self._series, kept, strict=True)
        ]
        return np.array(rates)

    @property
    def _series(self) -> np.ndarray:
        """R_n, shape (R, N, K, K)."""
        return self.echoes[..., 1:] * np.exp(self.log_size[:, :-1, None, 1:])

    def log_mean_squares(self) -> np.ndarray:
        r"""Return log m_1, the mean squared singular value, of 0, ..., N steps: (R, N + 1).

        .. math:: m_1(T) = \tau_T^{(0)} + \sum_{j < T} \tau_{T - 1 - j} \, v(j)
        """
        R, N, K = self.echoes.shape[:3]
        # Where hardly any W is felt, the mean follows what sites keep.
        rate = np.maximum(np.abs(self.growth_rates(np.zeros(R))), self.kept)
        tilt = np.log(np.where(rate > 0, rate, 1.0))[:, None, None]  # keeps all numbers near 1
        scale = np.exp(self.log_size - tilt * np.arange(N + 1)[:, None])
        echoes, traces = self.echoes * scale[:, :-1, None], self.traces * scale
        v, means = np.zeros((R, N, K)), np.ones((R, N + 1))
        for t in range(N):
            past = v[:, :t][:, ::-1] * np.exp(-tilt)
            v[:, t] = echoes[:, t, :, 0] + np.einsum("rnkl,rnl->rk", echoes[:, :t, :, 1:], past)
            past = v[:, : t + 1][:, ::-1] * np.exp(-tilt)
            made = np.einsum("rnl,rnl->r", traces[:, : t + 1, 1:], past)
            means[:, t + 1] = traces[:, t + 1, 0] + made
        with np.errstate(divide="ignore"):
            return np.log(np.abs(means)) + tilt[:, 0] * np.arange(N + 1)


class _Echo:
    """Changes of all states, and of each preactivation, on their way along the sites of a walk."""

    def __init__(self, walk: Walk) -> None:
        self.walk, self.states = walk, len(walk.model.cell.states)
        stds = [group.weight_std for _, group in walk.model.parameters.groups]
        self.gains = np.array([std**2 for std in stds])
        self.columns = 1 + len(stds)
        self.known = self._known()
        self.expected = np.zeros(0)  # of the memory, shape (R, columns, m, m)
        self.behind = np.zeros((REPLICATES, self.columns))
        """Logarithm of what the sites carry of a column, over its size."""

    def _known(self) -> MemoryResponse | None:
        """Return what is known of changes of the memory, where it is exact."""
        model = self.walk.model
        if model.frozen or not model.closes or model.entangled:
            return None
        drives = (self.walk.others or [Drives(self.walk.variances)])[0]
        return MemoryResponse.of(model.cell, model.fresh(drives))

    def run(self, steps: int) -> PopulationResponses:
        walk = self.walk
        walk.draw()
        tables = walk.derivatives()
        through = self._through(tables)
        self._start(tables)
        walk.update()
        before = walk.states.copy(), walk.biases, walk.time
        self.behind = np.zeros_like(self.behind)
        sizes, traces, reads = [], [], []
        for n in range(steps + 1):
            size, trace = self._normalised()
            sizes.append(size if not n else size + sizes[-1])
            traces.append(trace)
            if n < steps:
                walk.draw()
                tables = walk.derivatives()
                reads.append(through @ self._read(tables))
                self._carry(tables)
                walk.update()
        walk.states, walk.biases, walk.time = before
        walk.carried = {}
        return PopulationResponses(*(np.stack(x, axis=1) for x in (reads, traces, sizes)))

    def _start(self, tables: list[StepDerivatives]) -> None:
        """Set out with a unit change of all states, and with one of each preactivation."""
        one, two = tables[0], tables[-1]
        unit = self.walk.model.weights * np.ones((REPLICATES, self.walk.count))
        D: dict[Any, Any] = {(0, i, i): unit for i in range(self.states)}
        for (i, k), left in one.gate.items():
            for (j, l), right in two.gate.items():
                if k == l and self.gains[k]:
                    D[1 + k, i, j] = left * right * unit
        self.walk.carried = D
        if self.known is not None:
            begun = self.known.begun() * np.append(1.0, self.gains > 0)[:, None, None]
            self.expected = np.tile(begun, (REPLICATES, 1, 1, 1))

    def _through(self, tables: list[StepDerivatives]) -> np.ndarray:
        """Return v for unit sources of a step, which sources may see at once: (R, K, K)."""
        one, two = tables[0], tables[-1]
        direct = np.zeros((REPLICATES, len(self.gains), len(self.gains)))
        for place, left in one.source_gate.items():
            if place in two.source_gate:
                value = left * two.source_gate[place] * self.walk.model.weights
                direct[:, *place] = np.mean(value + _ROW, axis=-1)
        gains = self.gains[:, None]
        return np.linalg.solve(np.eye(len(gains)) - gains * direct, gains * np.eye(len(gains)))

    def _read(self, tables: list[StepDerivatives]) -> np.ndarray:
        """Return E[dy_k dy_k'] of each column, shape (R, K, columns)."""
        one, two = tables[0], tables[-1]
        found = np.zeros((REPLICATES, len(self.gains), self.columns))
        for (c, i, j), value in self.walk.carried.items():
            for k in range(len(self.gains)):
                left, right = one.source_state.get((k, i)), two.source_state.get((k, j))
                if left is not None and right is not None:
                    found[:, k, c] += self._averaged(left * right + _ROW, value, (c, i, j))
        return found

    def _averaged(
        self, factor: np.ndarray, value: np.ndarray, key: tuple[int, int, int]
    ) -> np.ndarray:
        """Average a factor times a change; what is known of the change corrects it."""
        mean, expected = self._share(key) * np.mean(factor * value, axis=-1), self._known_mean(key)
        squares = np.sum(value**2)
        if expected is None or squares == 0:
            return mean
        slope = np.sum(factor * value**2) / squares
        return mean - slope * (self._share(key) * value.mean(axis=-1) - expected)

    def _share(self, key: tuple[int, int, int]) -> np.ndarray:
        """Return what the sites carry of a column, over its size: (R,)."""
        return np.exp(self.behind[:, key[0]])

    def _known_mean(self, key: tuple[int, int, int]) -> np.ndarray | None:
        """Return what is known of the mean of a change, shape (R,); None where nothing is."""
        memory, (c, *places) = self.walk.model.cell.memory, key
        if self.known is None or not set(places) <= set(memory):
            return None
        i, j = map(memory.index, places)
        return self.expected[:, c, i, j]

    def _carry(self, tables: list[StepDerivatives]) -> None:
        one, two = tables[0], tables[-1]
        new: dict[Any, Any] = {}
        for (c, k, l), value in self.walk.carried.items():
            for (i, k_), left in one.state.items():
                for (j, l_), right in two.state.items():
                    if (k_, l_) == (k, l):
                        new[c, i, j] = new.get((c, i, j), 0.0) + left * right * value
        self.walk.carried = new
        if self.known is not None:
            self.expected = self.known.carried(self.expected)

    def _normalised(self) -> tuple[np.ndarray, np.ndarray]:
        """Bring every column to size 1, and split sites where few carry them; see the traces.

        Returns the logarithms of the sizes, and the traces: both (R, columns).
        """
        walk = self.walk
        weights = np.zeros((self.columns, REPLICATES, walk.count))
        for (c, _, _), value in walk.carried.items():
            weights[c] += np.abs(value)
        carried = weights.mean(axis=-1)
        unit = np.where(carried > 0, carried, 1.0)[..., None]
        walk.carried = {key: value / unit[key[0]] for key, value in walk.carried.items()}
        log_size = self._sized(carried.T)
        trace = np.zeros((REPLICATES, self.columns))
        for (c, i, j), value in walk.carried.items():
            if i == j:
                exact = self._known_mean((c, i, j))
                mean = self._share((c, i, j)) * value.mean(axis=-1) if exact is None else exact
                trace[:, c] += mean / self.states
        weight = (weights / unit).sum(axis=0)
        square, whole = (weight**2).mean(axis=-1), weight.mean(axis=-1) ** 2
        if walk.model.splits and np.any(whole < _FEW * square):
            # A bias that is dropped does not come back when it is wanted.
            power = _EVENED if walk.model.frozen else 1.0
            walk.split(np.where(whole[:, None] > 0, weight, 1.0) ** power)
        return log_size, trace

    def _sized(self, carried: np.ndarray) -> np.ndarray:
        """Return the logarithms of the sizes of the columns, and measure by them from here on.

        The size is what the sites carry, or what is known of it where that is more: sites that are
        not split may all forget a change within a few steps, and fall behind by any factor.

        Parameters
        ----------
        carried
            By the sites, since the last time; shape (R, columns).
        """
        with np.errstate(divide="ignore"):
            own = self.behind + np.log(carried)
            if self.known is None:
                return own
            size = np.maximum(own, np.log(np.abs(self.expected).max(axis=(-1, -2))))
        alive = np.isfinite(size)
        self.expected = self.expected * np.exp(-np.where(alive, size, 0.0))[..., None, None]
        self.behind = np.where(alive, own - np.where(alive, size, 0.0), self.behind)
        return size


_ROW = np.zeros((1, 1))


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return one - other, both of which may be minus infinity: then it is that, too."""
    return np.where(np.isneginf(one), -np.inf, one - np.where(np.isneginf(other), 0.0, other))


def pseudo_values(left_out: np.ndarray) -> np.ndarray:
    """Return samples whose scatter is the error of what was found leaving one out (jackknife)."""
    mean = left_out.mean()
    return mean + (len(left_out) - 1) * (mean - left_out)


def of_one_sign(rates: np.ndarray) -> np.ndarray:
    """Return the moduli where rates of both signs coincide within noise, else the rates.

    Populations then see now the one, now the other in front.  What merely scatters about 0 does
    not have one modulus.
    """
    sizes = np.abs(rates)
    both = np.any(rates > 0) and np.any(rates < 0)
    return sizes if both and sizes.std(ddof=1) < _ALIKE * sizes.mean() else rates
