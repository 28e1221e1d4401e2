"""Two input sequences through one untied network of any cell: how similar its states become."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmt_jacobian.arrays import spawn
from rmt_jacobian.cells import compile_cell
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.closed_response import closed_responses
from rmt_jacobian.mean_field.correlation import timescale
from rmt_jacobian.mean_field.memory import memory_moments
from rmt_jacobian.mean_field.memory_pairs import pair_memory_covariance, pair_source_products
from rmt_jacobian.mean_field.response import Responses, response_series
from rmt_jacobian.mean_field.site_paths import is_frozen, low_discrepancy_normals, reads_input
from rmt_jacobian.mean_field.sites import Sites
from rmt_jacobian.mean_field.untied import (
    UntiedState,
    distinct_sources,
    fresh_variances,
    has_frozen_bias,
)
from rmt_jacobian.solvers import Solution, fixed_point_of_orbit

__all__ = ["PairState", "pair_state", "solve_pair_state"]

_WORK = 2**19  # steps times pairs of sites
_FEWEST, _MOST = 4096, 32_768  # pairs
_AVERAGED = 32  # steps over which pairs are averaged
_APART = 0.9  # where an orbit starts that leaves c = 1
_FORGOTTEN = 1e-10
_LONGEST = 512  # steps of a response series


@dataclass(frozen=True, eq=False)
class PairState:
    r"""The stationary joint law of a site in two networks that share W, V and b.

    .. math:: q_k c_k = \sigma_k^2 E[y_k^{(1)} y_k^{(2)}] + \nu_k^2 R \Sigma_{12} + \rho_k^2

    Attributes
    ----------
    state
        The law of each of them.
    input_correlation
        Sigma_12.
    source_products
        :math:`E[y_k^{(1)} y_k^{(2)}]`, one for each preactivation.

    Notes
    -----
    Assumes fresh W and V at every step and N -> infinity.
    """

    state: UntiedState
    input_correlation: float
    source_products: tuple[float, ...]

    @property
    def correlations(self) -> tuple[float, ...]:
        """c_k, the correlation of each preactivation; 1 where it does not vary."""
        covariances = _covariances(self.state, self.input_correlation, self.source_products)
        variances = self.state.preactivation_variances
        return tuple(map(_ratio, covariances, variances))

    @property
    def source_correlations(self) -> tuple[float, ...]:
        """The correlation of each source, E[y_1 y_2] / E[y^2]."""
        return tuple(map(_ratio, self.source_products, self.state.source_squares))

    @cached_property
    def responses(self) -> Responses:
        """The responses to a small change of one of the networks."""
        state = self.state
        correlations = _fresh_correlations(state, self.input_correlation, self.source_products)
        if not has_frozen_bias(state.parameters):
            fresh = tuple(fresh_variances(state.parameters, state.source_squares))
            closed = closed_responses(
                state.cell, state.parameters, fresh, correlations, self.input_correlation
            )
            if closed is not None:
                return closed
        steps = _response_steps(state)
        if all(c == 1 for c in correlations):
            count = min(state.count, max(_FEWEST, _WORK * 4 // steps))
            return response_series(state.history(steps, count=count))
        return response_series(*_pair_histories(self, steps))

    @property
    def chi(self) -> float:
        r"""The slope of the correlation map: :math:`c - c^*` falls by this factor a step.

        Where a frozen bias reaches the memory, the few sites that never forget dominate in the end;
        the rate is then that of a window of at most 512 steps.
        """
        return self.responses.growth_rate().unwrap()

    @property
    def timescale(self) -> float:
        r"""-1 / log chi, in steps."""
        return timescale(self.chi)


def _ratio(part: float, whole: float) -> float:
    return min(1.0, max(-1.0, part / whole)) if whole > 0 else 1.0


def _covariances(
    state: UntiedState, input_correlation: float, products: Sequence[float]
) -> list[float]:
    R = state.parameters.input_variance
    return [
        group.preactivation_covariance(product, R * input_correlation)
        for (_, group), product in zip(state.parameters.groups, products, strict=True)
    ]


def _fresh_correlations(
    state: UntiedState, input_correlation: float, products: Sequence[float]
) -> tuple[float, ...]:
    """Return the correlations of what is drawn anew at every step."""
    frozen = state.parameters.bias_kind == "frozen"
    shared = [group.bias_std**2 if frozen else 0.0 for _, group in state.parameters.groups]
    covariances = np.array(_covariances(state, input_correlation, products)) - shared
    return tuple(map(_ratio, covariances, fresh_variances(state.parameters, state.source_squares)))


def _response_steps(state: UntiedState) -> int:
    if not state.cell.memory:
        return 3
    kept = response_series(state.history(12, count=1024)).kept
    if not 0 < kept < 1:
        return _LONGEST if kept >= 1 else 12
    return int(min(_LONGEST, max(12, math.ceil(math.log(_FORGOTTEN) / math.log(kept)))))


def solve_pair_state(
    state: UntiedState, input_correlation: float, *, start_correlation: float | None = None
) -> Solution[PairState]:
    """Solve for the joint law of two networks, and say whether the solver converged.

    Parameters
    ----------
    state
        The stationary law of one network.
    input_correlation
        Sigma_12 in [-1, 1].
    start_correlation
        Of every source at the start of the orbit that selects the solution; by default the input
        correlation, and a little below 1 where two networks that see the same part ways.
    """
    if not -1 <= input_correlation <= 1:
        raise ParameterError(f"the input correlation must lie in [-1, 1], not {input_correlation}")
    squares = np.array(state.source_squares)
    start = input_correlation if start_correlation is None else start_correlation
    if input_correlation == 1.0 and start == 1.0:
        same = PairState(state, 1.0, tuple(squares))
        if start_correlation is not None or same.chi <= 1 or not np.any(squares):
            return Solution(same, True, 0.0, 1)
        start = _APART
    owners = distinct_sources(state.cell)
    first = [owners.index(k) for k in range(max(owners) + 1)]
    sampler = _PairSampler(state, input_correlation)

    def image(unknowns: np.ndarray) -> np.ndarray:
        return sampler.products(np.clip(unknowns[owners], -squares, squares))[first]

    found = fixed_point_of_orbit(
        image, start * squares[first], remedy="try another start_correlation"
    )
    pair = PairState(state, input_correlation, tuple(map(float, found.value[owners])))
    return Solution(pair, found.converged, found.residual, found.iterations, found.remedy)


def pair_state(
    state: UntiedState, input_correlation: float, *, start_correlation: float | None = None
) -> PairState:
    """Return the joint law of two networks; see :func:`solve_pair_state`.

    Raises
    ------
    ConvergenceError
        If none is found.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> from rmt_jacobian.mean_field.untied import untied_state
    >>> state = untied_state(minimalrnn, Parameters.of(minimalrnn))
    >>> round(pair_state(state, 0.5).correlations[0], 3)  # as by the correlation map
    0.309
    """
    return solve_pair_state(state, input_correlation, start_correlation=start_correlation).unwrap()


class _PairSampler:
    """E[y_1 y_2] for given products one step before: in closed form, or from pairs of sites."""

    def __init__(self, state: UntiedState, input_correlation: float) -> None:
        self.state, self.input_correlation = state, input_correlation
        self.closed = not has_frozen_bias(state.parameters)
        self._normals: np.ndarray | None = None

    def products(self, products: np.ndarray) -> np.ndarray:
        state = self.state
        correlations = _fresh_correlations(state, self.input_correlation, tuple(products))
        fresh = tuple(fresh_variances(state.parameters, state.source_squares))
        if self.closed:
            exact = pair_source_products(
                state.cell, state.parameters, fresh, correlations, self.input_correlation
            )
            if exact is not None:
                return exact
            self.closed = False
        if self._normals is None:
            self._normals = _draw_pairs(state, record=1 + _AVERAGED)
        first, second = _run_pairs(
            state, self.input_correlation, correlations, self._normals, skip=state.settle + 1
        )
        found = [
            [one.weights @ (one.source(k) * two.source(k)) for k in range(len(products))]
            for one, two in zip(first, second, strict=True)
        ]
        return np.mean(found, axis=0)


def _pair_histories(pair: PairState, steps: int) -> tuple[list[Sites], list[Sites]]:
    state = pair.state
    correlations = _fresh_correlations(state, pair.input_correlation, pair.source_products)
    normals = _draw_pairs(state, record=steps + 1)
    return _run_pairs(state, pair.input_correlation, correlations, normals, skip=state.settle + 1)


def _draw_pairs(state: UntiedState, *, record: int) -> np.ndarray:
    """Return normal variables, shape (1 + steps, 2, variables, sites); the first are the biases."""
    per_step = len(state.cell.gates) + int(reads_input(state.cell))
    steps = 1 + state.settle + record
    count = 2 ** round(math.log2(min(_MOST, max(_FEWEST, _WORK // steps))))
    z = low_discrepancy_normals(steps * 2 * per_step, count, spawn(state.seed, 1)[0])
    z = z.reshape(steps, 2, per_step, count)
    return np.concatenate([z[:1], z[:0:-1]])  # the latest steps get the most even dimensions


def _run_pairs(
    state: UntiedState,
    input_correlation: float,
    correlations: tuple[float, ...],
    normals: np.ndarray,
    *,
    skip: int,
) -> tuple[list[Sites], list[Sites]]:
    """Run pairs of sites and return their steps after the first ones."""
    cell, parameters, K = state.cell, state.parameters, len(state.cell.gates)
    fresh = tuple(fresh_variances(parameters, state.source_squares))
    impose = _moments_of_pairs(state, fresh, correlations, input_correlation)
    compiled, count = compile_cell(cell), normals.shape[-1]
    weights = np.full(count, 1 / count)
    inputs = parameters.inputs
    latent = inputs.latent_correlation(input_correlation)
    mixing = [*correlations, latent]
    biases = normals[0, 0]
    states = [np.zeros((len(cell.states), count)) for _ in range(2)]
    histories: tuple[list[Sites], list[Sites]] = ([], [])
    for t, (own, other) in enumerate(normals[1:]):
        if t == skip - 2:  # the last step before the record makes the other states of it
            states = impose(states)
        own_part = np.array([math.sqrt((1 - c) * (1 + c)) for c in mixing[: len(own)]])
        second = np.array(mixing[: len(own)])[:, None] * own + own_part[:, None] * other
        for copy, z in enumerate((own, second)):
            gates = []
            for k, (_, group) in enumerate(parameters.groups):
                e = group.bias_mean + math.sqrt(fresh[k]) * z[k]
                if is_frozen(parameters, k):
                    e = e + group.bias_std * biases[k]
                gates.append(e)
            x = inputs.from_normal(z[K]) if len(z) > K else np.zeros(count)
            sites = Sites(cell, parameters, tuple(states[copy]), tuple(gates), x, weights)
            if t >= skip:
                histories[copy].append(sites)
            new = compiled.update(sites.states, sites.gates, sites.x)
            states[copy] = np.array([value + 0 * x for value in new])
    return histories


def _moments_of_pairs(
    state: UntiedState,
    fresh: tuple[float, ...],
    correlations: tuple[float, ...],
    input_correlation: float,
) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Return what gives the memories of pairs the moments that they have in closed form."""
    cell, parameters = state.cell, state.parameters
    known = shared = None
    if not has_frozen_bias(parameters):
        known = memory_moments(cell, parameters, fresh)
        shared = pair_memory_covariance(cell, parameters, fresh, correlations, input_correlation)

    def impose(states: list[np.ndarray]) -> list[np.ndarray]:
        if known is None or shared is None:
            return states
        # By exchange symmetry the half sum and the half difference are uncorrelated.
        middle = known.with_covariance((known.covariance + shared) / 2)
        apart = known.with_covariance((known.covariance - shared) / 2, mean=0 * known.mean)
        half_sum = middle.imposed((states[0] + states[1]) / 2)
        half_gap = apart.imposed((states[0] - states[1]) / 2)
        return [half_sum + half_gap, half_sum - half_gap]

    return impose
