"""Lyapunov exponents of cells with several states or preactivations, along their waves."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import expit, logit
from tqdm import tqdm

from rmt_jacobian.arrays import Seed
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field import PairState, UntiedState
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.untied import WeightsChoice, own_ensembles, untied_history
from rmt_jacobian.pencils.blocks.wave import BlockWave, LongBlockChain

__all__ = ["block_exponents", "largest_exponent"]

_FORGOTTEN = 1e-4  # what is left of the start of a recursion
_SHORTEST, _LONGEST = 16, 200  # steps that take it there
_COUNTED = 32  # steps that averages run over
_DRAWS, _FEWEST = 2**17, 128  # sites times steps, and sites
_FIRST = 0.02  # the quantile from which the wave is followed
_STRIDE = 0.8  # of the logit of the quantile, on the way to another
_FEWEST_NODES = 2  # between which anything is interpolated
_NODES, _REFINED = 17, 14  # where the wave is solved for many quantiles, at first and in between
_TYPICAL, _TYPICAL_SITES = 50, 2048  # steps and sites by which a typical memory is judged
_RANK_STEPS = 8  # of the product whose rank is looked at


def largest_exponent(state: UntiedState) -> float:
    r"""Return :math:`\frac12 \log \chi`, chi the growth rate of squared gradients.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, gru
    >>> from rmt_jacobian.mean_field import untied_state
    >>> silent = untied_state(gru, Parameters.of(gru, input_std=0))
    >>> # h = 0: J = 1/2 + W / 4 with std 3
    >>> round(math.exp(2 * largest_exponent(silent)), 6)
    0.8125
    """
    growth = PairState(state, 1.0, state.source_squares).gradient_growth
    return math.log(growth) / 2 if growth > 0 else -math.inf


def block_exponents(
    state: UntiedState,
    weights: WeightsChoice,
    quantiles: np.ndarray,
    *,
    draws: int | None = None,
    seed: Seed = 0,
    progress: str | None = None,
) -> tuple[np.ndarray, np.ndarray, str]:
    r"""Return exponents at quantiles from the top in [0, 1), and their standard errors.

    Exponents that were not found are nan, and the text says why.

    A cell with d states has d N exponents; x is the share of all of them that is above.

    Parameters
    ----------
    state
        Of untied networks of any cell.
    weights
        One ensemble for all W, or one for each by the name of its preactivation.
    quantiles
        x, shape (quantiles,).
    draws, seed
        Sites times steps that stand for the site law, and the seed of the sites.
    progress
        Title of a progress bar, from two seconds on; none by default.

    Raises
    ------
    ParameterError
        If every W is 0.
    ConvergenceError
        If sites remember too many steps, or no wave is found.
    """
    largest = largest_exponent(state)
    if not any(group.weight_std > 0 for _, group in state.parameters.groups):
        raise ParameterError("without weights nothing is passed on: give weight_std above 0")
    values, errors = np.full(quantiles.shape, largest), np.zeros(quantiles.shape)
    if not np.any(quantiles > 0):
        return values, errors, ""
    typical = _typical_exponent(state, largest)
    chain = _long_chain(state, weights, typical, draws or _DRAWS, seed)
    share = 1 - chain.sites.first(_RANK_STEPS).lost
    values[quantiles >= share] = -math.inf
    inside, missing = (quantiles > 0) & (quantiles < share), ""
    if np.any(inside):
        silent = progress is None
        with tqdm(desc=progress, unit="quantile", disable=silent, delay=2, mininterval=0.5) as bar:
            path = _Path(chain, share, 2 * typical, bar)
            values[inside], errors[inside], missing = path.exponents(quantiles[inside])
    return values, errors, missing


def between_found(x: np.ndarray, nodes: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return which x lie between two neighbouring nodes that were both found.

    Examples
    --------
    >>> between_found(np.array([0.5, 1.5, 3.0]), np.arange(4), np.array([True, True, False, True]))
    array([ True, False,  True])
    """
    above = np.clip(np.searchsorted(nodes, x), 0, len(nodes) - 1)
    exact = nodes[above] == x
    below = np.clip(above - 1, 0, None)
    return found[above] & (exact | found[below])


def _long_chain(
    state: UntiedState, weights: WeightsChoice, largest: float, draws: int, seed: Seed
) -> LongBlockChain:
    """Draw histories long enough for the memory of the cell, and leave out what no change meets."""
    kept = _kept(state)
    rate = kept / math.exp(2 * largest) if math.isfinite(largest) else 1.0
    memory = math.ceil(math.log(_FORGOTTEN) / math.log(rate)) if 0 < rate < 1 else _SHORTEST
    if memory > _LONGEST or rate >= 1:
        raise ConvergenceError(
            f"sites remember more than {_LONGEST} steps: sample the exponents instead"
        )
    memory = max(memory, _SHORTEST)
    steps = 2 * memory + _COUNTED
    count = 2 ** round(math.log2(max(_FEWEST, draws / steps)))
    history = untied_history(state, steps, count=count, seed=seed)
    ensembles = own_ensembles(state.parameters, history.names, weights)
    found = BlockChain.of(history, ensembles)
    chain = LongBlockChain(found.sites, found.ensembles, memory)
    while len(alive := chain.alive(2 * largest)) < chain.gates:
        if not alive:
            raise ConvergenceError("no W passes a change on: sample the exponents instead")
        dead = [k for k in range(chain.gates) if k not in alive]
        ensembles = tuple(chain.ensembles[k] for k in alive)
        chain = LongBlockChain(chain.sites.without(dead), ensembles, memory)
    return chain


def _typical_exponent(state: UntiedState, largest: float) -> float:
    """Return where the bulk ends: below the largest exponent if frozen biases set that."""
    if not state.parameters.has_frozen_bias:
        return largest
    growth = PairState(state, 1.0, state.source_squares).growth_rate(_TYPICAL)
    return math.log(growth) / 2 if growth > 0 else -math.inf


def _kept(state: UntiedState) -> float:
    """Return what the memory keeps of a squared change a step.

    With frozen biases in its gates the sites that never forget set the limit, 1, though there are
    next to none of them: what counts for a law of all sites is the mean over a number of steps.
    """
    if not state.parameters.has_frozen_bias:
        return PairState(state, 1.0, state.source_squares).kept
    history = state.history(_TYPICAL, count=_TYPICAL_SITES)
    states = len(state.cell.states)
    change = np.broadcast_to(np.eye(states)[:, :, None], (states, states, _TYPICAL_SITES))
    for sites in history:
        kept = np.zeros_like(change)
        for (i, j), slope in sites.derivatives.state.items():
            kept[i] += slope * change[j]
        change = kept
    mean = float(np.mean(np.sum(change**2, axis=(0, 1)))) / states
    return mean ** (1 / _TYPICAL)


@dataclass(frozen=True, eq=False)
class _Path:
    """The wave of a chain, followed from a small quantile on.

    Attributes
    ----------
    chain
        The chain.
    share
        The share of exponents that are finite.
    log_mu
        Of the largest of them.
    bar
        Counts the quantiles that are solved.
    """

    chain: LongBlockChain
    share: float
    log_mu: float
    bar: tqdm

    def exponents(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
        """Return exponents and errors, solved at the quantiles or at nodes between them.

        Where none was found they are nan, and the text says why.
        """
        wanted, place = np.unique(x, return_inverse=True)
        ends = self._place(wanted[[0, -1]])
        start = min(float(ends[0]), float(self._place(np.array(_FIRST * self.share))))
        if len(wanted) <= _NODES:
            waves, missing = self._followed(start, self._place(wanted))
            known = np.array([_exponent_of(wave) for wave in waves])
            return *known[place].T, missing
        nodes = list(np.linspace(float(ends[0]), float(ends[1]), _NODES))
        waves, missing = self._followed(start, np.array(nodes), then=_REFINED)
        found = np.array([wave is not None for wave in waves])
        rows = [(node, wave) for node, wave in zip(nodes, waves, strict=True) if wave]
        known = between_found(self._place(x), np.array(nodes), found)
        if len(rows) < _FEWEST_NODES:
            raise ConvergenceError(missing)
        if not missing:
            self._refine(rows)
        at, there = [node for node, _ in rows], self._place(x)
        exponents, errors = np.array([_exponent_of(wave) for _, wave in rows]).T
        values = np.where(known, PchipInterpolator(at, exponents)(there), np.nan)
        return values, np.interp(there, at, errors), missing

    def _refine(self, rows: list[tuple[float, BlockWave]]) -> None:
        """Solve in the middle of the intervals on which the exponents bend most."""
        for _ in range(_REFINED):
            i = _worst([node for node, _ in rows], [wave.exponent for _, wave in rows])
            (low, left), (high, right) = rows[i : i + 2]
            middle, guess = (low + high) / 2, (left.unknowns + right.unknowns) / 2
            rows.insert(i + 1, (middle, self._solved(middle, guess, left.matrix)))

    def _place(self, x: np.ndarray) -> np.ndarray:
        """Return the logit of x among the finite exponents."""
        return logit(x / self.share)

    def _solved(self, place: float, guess: np.ndarray, matrix: np.ndarray | None) -> BlockWave:
        wave = self.chain.wave(self.share * float(expit(place)), guess, matrix)
        self.bar.update()
        return wave

    def _followed(
        self, start: float, places: np.ndarray, then: int = 0
    ) -> tuple[list[BlockWave | None], str]:
        """Solve at increasing places, with as many stops between them as it takes.

        So many others will be solved then.  None stands where no wave was found, with the first
        reason; those after it are looked for from the last that was found.
        """
        ways = [
            np.linspace(here, there, 1 + math.ceil((there - here) / _STRIDE))[1:]
            for here, there in pairwise([start, *map(float, places)])
        ]
        self.bar.total = 1 + sum(map(len, ways)) + then
        x = self.share * float(expit(start))
        wave = self._solved(start, self.chain.start(x, self.log_mu), None)
        here, speed, missing = start, np.zeros_like(wave.unknowns), ""
        found: list[BlockWave | None] = []
        for way in ways:
            for stop in way:
                guess = wave.unknowns + speed * (stop - here)
                try:
                    new = self._solved(float(stop), guess, wave.matrix)
                except ConvergenceError as error:
                    missing = missing or str(error)
                    continue
                speed = (new.unknowns - wave.unknowns) / (stop - here)
                here, wave = float(stop), new
            at = float(way[-1]) if len(way) else here
            found.append(wave if at == here else None)
        return found, missing


def _exponent_of(wave: BlockWave | None) -> tuple[float, float]:
    return (math.nan, math.nan) if wave is None else (wave.exponent, wave.error)


def _worst(nodes: list[float], values: list[float]) -> int:
    """Return the interval on which the values bend most."""
    widths = np.diff(nodes)
    slopes = np.diff(values) / widths
    bends = np.abs(np.diff(slopes))
    sides = np.maximum(np.append(bends, 0.0), np.insert(bends, 0, 0.0))
    return int(np.argmax(widths * sides))
