r"""Growth rate and spread of networks that keep their weights, on paths that are drawn once.

Times run on a circle of P steps, on which Gaussian processes of any covariance are made of the same
normal modes. Every lap of the population is driven by the spectra that its own sources had in the
one before,

.. math:: \lambda_{e_k}(\omega) = \sigma_k^2 \lambda_{y_k}(\omega) + \nu_k^2 R + \rho_k^2 P
          \delta_{\omega 0},

the orbit that leads to the steady state in time; nothing is solved for. The same modes serve at
every point of hyperparameters, so that growth and spread are smooth functions of these.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import scipy.fft

from rmt_jacobian.cells import Cell, Parameters, StepDerivatives, compile_cell
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization.populations import HUGE, CommonPopulation, Rates
from rmt_jacobian.mean_field.tied.circle import Lap, drive_spectra, unit_modes
from rmt_jacobian.mean_field.tied.growth import Paths, tied_mean_squares
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.pencils.blocks.chain_moments import chain_moments
from rmt_jacobian.pencils.blocks.history import BlockHistory
from rmt_jacobian.pencils.blocks.untied import WeightsChoice, weight_ensembles
from rmt_jacobian.pencils.ensembles import BiInvariant, GaussianWeights, TransformWeights
from rmt_jacobian.pencils.shared.chain import SharedChain

__all__ = ["MOST_STEPS", "CommonPaths", "check_tied_steps", "circle_for"]

MOST_STEPS = 60
"""Over which the variance of J J^T can be made least, with T^2/2 unknowns for each W."""
_TOGETHER, _AT_A_TIME = 16384, 2  # sites times points that go round at a time, and how often
_SHORTEST, _LONGEST = 128, 512  # circles
_TIMES = 6  # memories in half a circle
_DEAD = 1e-14  # a variance that is none
_MOST_LAPS, _STEADY = 240, 1e-3  # until the squares of sources change by less, relative to them
_MOST_PAIRS = 128  # steps that are followed
_LATE = 32  # of them, the last ones, over which growth in the end is averaged


@dataclass(frozen=True, eq=False)
class CommonPaths(CommonPopulation):
    """Normal modes of a population of paths of sites, or of several populations.

    Attributes
    ----------
    cell, steps, weights
        The cell, T, and the ensemble of every W, of which only the shape counts.
    over
        The horizon.
    modes
        Of the preactivations and the input, shape (processes, P/2 + 1, populations, sites).
    spectra
        Of the sources in the lap before the first one, shape (preactivations, P/2 + 1).
    states
        At the start, shape (states, populations, sites).
    laps
        How often the circle is gone round; the last lap is measured.
    """

    cell: Cell
    steps: int
    weights: WeightsChoice
    over: float
    modes: np.ndarray
    spectra: np.ndarray
    states: np.ndarray
    laps: int

    @classmethod
    def draw(
        cls,
        cell: Cell,
        weights: WeightsChoice,
        steps: int,
        *,
        horizon: float = math.inf,
        period: int,
        count: int,
        laps: int,
        rngs: Sequence[np.random.Generator],
    ) -> "CommonPaths":
        """Draw populations.

        Parameters
        ----------
        cell, weights, steps
            The cell, the ensemble of every W, and T.
        horizon
            Over how many steps growth is measured.
        period
            P, even.
        count, laps
            Sites of each population, and how often they go round.
        rngs
            Of each population.
        """
        check_tied_steps(steps)
        processes = len(cell.gates) + int(cell.reads_input_itself)
        modes = np.concatenate([unit_modes(processes, period, 1, count, rng) for rng in rngs], 2)
        start = np.stack([rng.standard_normal((len(cell.states), count)) for rng in rngs], 1)
        spectra = np.ones((len(cell.gates), period // 2 + 1))
        return cls(cell, steps, weights, horizon, modes, spectra, start, laps)

    precision: ClassVar[float] = 1e-5  # growth is known to 1e-3
    fresh: ClassVar[bool] = False

    @property
    def variables(self) -> np.ndarray:  # noqa: D102
        return self.modes

    @property
    def horizon(self) -> float:  # noqa: D102
        return self.over

    @property
    def period(self) -> int:
        """P."""
        return 2 * (self.modes.shape[1] - 1)

    def rates(self, points: Sequence[Parameters], *, spread: bool = True) -> Rates:  # noqa: D102
        if self.populations > 1:
            (point,) = points
            parts = [self._only(k) for k in range(self.populations)]
            measured = map_samples(lambda part: part._rates([point], spread=spread), parts)
            return Rates.joined(list(measured), np.concatenate)
        together = max(1, min(_TOGETHER // self.count, math.ceil(len(points) / _AT_A_TIME)))
        chunks = [points[k : k + together] for k in range(0, len(points), together)]
        measured = map_samples(lambda chunk: self._rates(chunk, spread=spread), chunks)
        return Rates.joined(list(measured), np.concatenate)

    def _rates(self, points: Sequence[Parameters], *, spread: bool) -> Rates:
        lap = self._settled(points)
        found = [self._measured(lap, v, each, spread=spread) for v, each in enumerate(points)]
        return Rates.joined(found, np.concatenate)

    def growth(self, rates: Rates) -> tuple[float, float]:  # noqa: D102
        return _pooled(rates.growth, _LATE if math.isinf(self.horizon) else self.horizon)

    def late_growth(self, rates: Rates) -> float:  # noqa: D102
        return _pooled(rates.late, _LATE)[0]

    def resettled(self, point: Parameters) -> "CommonPaths":  # noqa: D102
        return self.settled_at(point, self.laps)

    def steady_at(self, point: Parameters) -> tuple["CommonPaths", bool]:
        """Go round until the variances of the states stay the same, and return whether they do."""
        paths, before = self, np.full(len(self.spectra), math.nan)
        for _ in range(0, _MOST_LAPS, self.laps):
            paths = paths.settled_at(point, self.laps)
            squares = paths.spectra.sum(axis=-1)
            change, before = np.abs(squares - before), squares
            if np.all(change <= _STEADY * squares + _DEAD):
                return paths, True
        return paths, False

    def driven_as(self, other: "CommonPaths") -> "CommonPaths":
        """Return these paths, driven at first by the spectra of others."""
        return replace(self, spectra=other.spectra)

    def settled_at(self, point: Parameters, laps: int) -> "CommonPaths":
        """Return these paths, beginning from the spectra and states that they have at a point.

        Parameters
        ----------
        point
            Where.
        laps
            That they have elsewhere, to change from there.
        """
        each = [self._only(k) for k in range(self.populations)]
        parts = list(map_samples(lambda part: part._settled([point]), each))
        spectra = np.mean([part.spectra()[0, 0] for part in parts], axis=0)[: len(self.cell.gates)]
        states = np.stack([part.states[:, -1, 0, 0] for part in parts], axis=1)
        if not (np.isfinite(spectra).all() and np.isfinite(states).all()):
            return self
        return replace(self, spectra=spectra, states=states, laps=laps)

    def _only(self, k: int) -> "CommonPaths":
        cut = slice(k, k + 1)
        return replace(self, modes=self.modes[:, :, cut], states=self.states[:, cut])

    def _settled(self, points: Sequence[Parameters]) -> Lap:
        """Go round, and return the last lap; its variants are the points."""
        cell, compiled, count = self.cell, compile_cell(self.cell), len(points)
        spectra = np.broadcast_to(self.spectra, (count, 1, *self.spectra.shape))
        now = list(np.broadcast_to(self.states[:, None], (len(cell.states), count, 1, self.count)))
        states = np.empty((len(now), self.period, count, 1, self.count))
        x = self._inputs(points[0])
        with np.errstate(all="ignore"):
            gates = self._driven(points, spectra)
            for lap in range(self.laps):
                if lap:
                    driving = Lap(cell, points[0], states, gates, x).spectra()
                    gates = self._driven(points, driving[:, :, : len(cell.gates)])
                for t in range(self.period):
                    for i, state in enumerate(now):
                        states[i, t] = state
                    now = compiled.update(now, list(gates[:, t]), x[t])
        return Lap(cell, points[0], states, gates, x)

    def _inputs(self, point: Parameters) -> np.ndarray:
        """Return the inputs of all times, shape (P, 1, 1, sites)."""
        K, P = len(self.cell.gates), self.period
        if len(self.modes) == K:
            return np.zeros((P, 1, 1, 1))
        normals = scipy.fft.irfft(np.sqrt(P) * self.modes[K][:, None], P, axis=0)
        return point.inputs.from_normal(normals.astype(float))

    def _driven(self, points: Sequence[Parameters], spectra: np.ndarray) -> np.ndarray:
        """Return the preactivations of all times, shape (K, P, points, 1, sites)."""
        cell, P, K = self.cell, self.period, len(self.cell.gates)
        driving = np.stack([
            drive_spectra(cell, point, "fresh", own, P)
            for point, own in zip(points, spectra, strict=True)
        ])  # fmt: skip
        size = np.sqrt(P * np.moveaxis(driving, (2, 3), (0, 1)))
        gates = scipy.fft.irfft(size[..., None] * self.modes[:K, :, None], P, axis=1)
        means = [[p[each.name].bias_mean for p in points] for each in cell.preactivations]
        return gates + np.array(means)[:, None, :, None, None]

    def _measured(self, lap: Lap, v: int, point: Parameters, *, spread: bool) -> Rates:
        """Return what one variant of a lap does to gradients."""
        variances = [group.weight_std**2 for _, group in point.groups]
        with np.errstate(all="ignore"):
            size = float(np.mean(np.sum(lap.states[:, :, v] ** 2, axis=0)))
            if not size < HUGE:
                return _nothing()
            most = min(self.period // 2, max(self.horizon, 2 * _LATE), _MOST_PAIRS)
            steps = max(self.steps, int(most))
            slopes = self._derivatives(lap, v, steps)
            kept = self._kept(slopes)
            # In units of the growth of a step no product of many leaves the range of numbers.
            one = tied_mean_squares(self._paths(_first(slopes), 1), variances)[1]
            if not one > 0:
                return _nothing()
            slopes = _divided(slopes, math.sqrt(one))
            means = np.log(tied_mean_squares(self._paths(slopes, steps), variances))
            means = means + np.log(one) * np.arange(len(means))
            late = (means[-1] - means[-1 - _LATE]) / _LATE
            growth = _over(self.over, means, late)
            found = self._spread(slopes, point) if spread else math.nan
        if not math.isfinite(growth):
            return _nothing()
        mean = means[self.steps] if spread else math.nan
        values = (growth, mean, found, kept, size, late)
        return Rates(*(np.array([float(value)]) for value in values))

    def _derivatives(self, lap: Lap, v: int, steps: int) -> StepDerivatives:
        """Return the derivatives at the first steps of the lap, shape (steps, sites) each."""
        states, gates = lap.states[:, :steps, v, 0], lap.gates[:, :steps, v, 0]
        return compile_cell(self.cell).derivatives(list(states), list(gates), lap.x[:steps, 0, 0])

    def _paths(self, slopes: StepDerivatives, steps: int) -> Paths:
        shape, cell = (steps, self.count), self.cell

        def whole(table: Mapping[tuple[int, int], Any]) -> dict[tuple[int, int], np.ndarray]:
            return {key: np.broadcast_to(values, shape) for key, values in table.items()}

        return Paths(
            whole(slopes.state), whole(slopes.gate),
            whole(slopes.source_state), whole(slopes.source_gate),
            np.full(self.count, 1 / self.count), len(cell.states), len(cell.gates),
        )  # fmt: skip

    def _kept(self, slopes: StepDerivatives) -> float:
        """Return the mean square of the slopes of the memory."""
        memory = self.cell.memory
        sums = [sum(np.abs(slopes.state.get((i, j), 0.0)) for j in memory) for i in memory]
        return max((float(np.mean(np.square(each))) for each in sums), default=0.0)

    def _spread(self, slopes: StepDerivatives, point: Parameters) -> float:
        r"""Return :math:`\log m_2 / m_1^2` over T steps."""
        steps = [_at_time(slopes, t) for t in range(self.steps)]
        history = BlockHistory.of(steps, self.cell)
        ensembles = _scaled(weight_ensembles(point, history.names, self.weights), point)
        _, m_1, m_2 = (np.float64(m) for m in chain_moments(SharedChain.of(history, ensembles), 2))
        return float(np.log(m_2) - 2 * np.log(m_1))


def check_tied_steps(steps: int) -> None:
    """Refuse more steps than a variance of networks that keep their weights is found for."""
    if steps > MOST_STEPS:
        raise ParameterError(
            f"with shared weights the variance is made least over {MOST_STEPS} steps at most, not "
            f"{steps}: take fewer, the growth rate is that of many steps all the same"
        )


def circle_for(kept: float, steps: int, horizon: float = math.inf) -> int:
    """Return how many steps a circle needs.

    It is twice as long as what is measured: the two ends of a path that is longer than half of it
    are closer in time, the other way round, than they should be.

    Parameters
    ----------
    kept
        The share of a squared change that a memory keeps in a step.
    steps, horizon
        Over how many steps the variance and growth are measured.

    Examples
    --------
    >>> circle_for(0.3, 20, 20), circle_for(0.3, 20, 100), circle_for(1.0, 20, 20)
    (128, 256, 512)
    """
    memory = -2 / math.log(kept) if 0 < kept < 1 else (0.0 if kept <= 0 else math.inf)
    needed = max(_SHORTEST, 2 * steps, 2 * min(horizon, _MOST_PAIRS), _TIMES * 2 * memory)
    return int(2 ** math.ceil(math.log2(min(_LONGEST, needed))))


def _over(horizon: float, means: np.ndarray, late: float) -> float:
    """Return log m_1(H) / H; beyond the steps that were followed growth goes on as in the end."""
    followed = len(means) - 1
    if math.isinf(horizon):
        return late
    if horizon <= followed:
        return float(means[int(horizon)]) / horizon
    return (float(means[-1]) + (horizon - followed) * late) / horizon


def _first(slopes: StepDerivatives) -> StepDerivatives:
    """Return the derivatives of the first step, shape (1, sites) each."""
    tables = (slopes.state, slopes.gate, slopes.source_state, slopes.source_gate)
    return StepDerivatives(*(
        {key: each[:1] if np.ndim(each) else each for key, each in table.items()}
        for table in tables
    ))  # fmt: skip


def _divided(slopes: StepDerivatives, unit: float) -> StepDerivatives:
    """Return the derivatives of new states divided by a number."""
    state, gate = (
        {key: each / unit for key, each in table.items()} for table in (slopes.state, slopes.gate)
    )
    return replace(slopes, state=state, gate=gate)


def _at_time(slopes: StepDerivatives, t: int) -> StepDerivatives:
    """Return the derivatives of one of the steps."""

    def taken(table: Mapping[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
        return {key: each[t] if np.ndim(each) else each for key, each in table.items()}

    tables = (slopes.state, slopes.gate, slopes.source_state, slopes.source_gate)
    return StepDerivatives(*(taken(table) for table in tables))


def _scaled(ensembles: Mapping[str, BiInvariant], point: Parameters) -> dict[str, BiInvariant]:
    """Give every ensemble the scale of its group."""

    def own(name: str, each: BiInvariant) -> BiInvariant:
        wanted = point[name].weight_std ** 2
        if not wanted:
            return GaussianWeights(0.0)  # no W, whatever its shape
        if math.isclose(each.variance, wanted, rel_tol=1e-9):
            return each
        ratio = each.variance / wanted
        return TransformWeights(lambda u: ratio / ((1 + u) * each.gain(u)))

    return {name: own(name, each) for name, each in ensembles.items()}


def _pooled(logarithms: np.ndarray, steps: float) -> tuple[float, float]:
    """Return the logarithm of growth a step of all populations together, and its standard error.

    The logarithm of a mean over few sites is too low, and the more so the more steps add up:
    populations are averaged first, and the rest is taken off by the jackknife.
    """
    values, count = steps * logarithms, len(logarithms)
    if count == 1 or not np.isfinite(values).all():
        return float(np.mean(logarithms)), math.nan
    top = float(np.max(values))
    shares = np.exp(values - top)
    whole = math.log(float(np.mean(shares)))
    others = np.log((np.sum(shares) - shares) / (count - 1))
    error = math.sqrt((count - 1) * float(np.var(others)))
    found = count * whole - (count - 1) * float(np.mean(others))
    return (top + found) / steps, error / steps


def _nothing() -> Rates:
    return Rates(*(np.array([math.nan]) for _ in fields(Rates)))
