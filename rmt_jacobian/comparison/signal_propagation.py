"""How similar two input sequences become: Figure 1 of Chen et al. (2018), theory and samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import spawn
from rmt_jacobian.cells import Cell, Parameters, minimalrnn
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import PairLaw, stationary, trajectory
from rmt_jacobian.mean_field.averages.one_site import single_site
from rmt_jacobian.mean_field.tied.correlations import tied_correlations
from rmt_jacobian.sampling import sample_correlations
from rmt_jacobian.solvers import roots_in

__all__ = [
    "CorrelationPath",
    "FixedPointCurve",
    "SampledPath",
    "SignalPropagation",
    "Transition",
    "signal_propagation",
]

# Sigma_12 of the fixed points that are drawn against the bias mean.
_INPUT_CORRELATIONS = (1.0, 0.99, 0.0)
# Below this |c* - c^t| is rounding noise of the fixed point.
_RESOLVED = 1e-9
_SITES = 16384  # of the dynamical mean field of tied networks
# A root of chi_1 - 1 has a residual of rounding size; a jump across 1 leaves half its height.


@dataclass(frozen=True)
class SampledPath:
    """Mean and standard error of c^t over sampled networks, each of shape (steps,)."""

    mean: np.ndarray
    standard_error: np.ndarray

    @classmethod
    def of(cls, paths: np.ndarray) -> "SampledPath":
        """Average the paths of independent networks, shape (samples, steps)."""
        error = paths.std(axis=0, ddof=1) / math.sqrt(paths.shape[0])
        return cls(paths.mean(axis=0), error)


@dataclass(frozen=True)
class CorrelationPath:
    """The correlation c^t of preactivations in time, at one bias mean.

    Attributes
    ----------
    bias_mean
        mu_b.
    theory
        c^t at steps t = 1, ..., steps from the full map.
    untied, tied
        The same, sampled; tied is None where it was not asked for.
    limit
        c*, the stable fixed point for equal inputs; below 1 where chi_1 > 1.
    timescale
        tau of the approach to c*.
    tied_theory
        c^t of networks that keep their weights, by dynamical mean field theory; None where tied
        networks were not asked for.
    """

    bias_mean: float
    theory: np.ndarray
    untied: SampledPath
    tied: SampledPath | None
    limit: float
    timescale: float
    tied_theory: np.ndarray | None = None


@dataclass(frozen=True)
class FixedPointCurve:
    """c* and tau against mu_b at one Sigma_12; arrays of shape (points,), tau may be infinite."""

    input_correlation: float
    bias_means: np.ndarray
    limits: np.ndarray
    timescales: np.ndarray


@dataclass(frozen=True)
class Transition:
    """A bias mean at which chi_1 - 1 changes sign: through zero, or by a jump.

    It jumps where two fixed points of the state variance merge and the network falls to a third.
    """

    bias_mean: float
    continuous: bool


@dataclass(frozen=True)
class SignalPropagation:
    """Two networks with shared weights: unrelated inputs before a switch, equal ones from then on.

    Attributes
    ----------
    cell, parameters
        Of the networks; the bias mean is replaced along the way.
    input_correlations
        Sigma_12 at steps t = 1, ..., steps.
    switch
        The first step with equal inputs.
    paths
        One for each bias mean, in increasing order.
    curves
        Fixed points for Sigma_12 = 1, 0.99 and 0.
    transitions
        Where chi_1 - 1 changes sign.
    width, samples, seed
        Of the sampled networks.
    """

    cell: Cell
    parameters: Parameters
    input_correlations: np.ndarray
    switch: int
    paths: tuple[CorrelationPath, ...]
    curves: tuple[FixedPointCurve, ...]
    transitions: tuple[Transition, ...]
    width: int
    samples: int
    seed: int

    @property
    def times(self) -> np.ndarray:
        """Steps t = 1, ..., steps."""
        return np.arange(1, self.input_correlations.size + 1)

    def linearised(self, path: CorrelationPath) -> np.ndarray | None:
        r"""Return :math:`A e^{-(t - t_0) / \tau}` at steps t = t_0, ..., with t_0 the switch.

        A is that of the full map late in its path, where the linearisation holds.  None if tau is
        infinite.

        References
        ----------
        :cite:t:`Chen2018`, eqs. (4), (9) and Figure 1 d.
        """
        if not (math.isfinite(path.timescale) and path.timescale > 0):
            return None
        distance = np.abs(path.limit - path.theory[self.switch - 1 :])
        elapsed = np.arange(distance.size)
        (resolved,) = np.nonzero(distance > _RESOLVED)
        last = resolved[-1] if resolved.size else 0
        return distance[last] * np.exp((last - elapsed) / path.timescale)


def signal_propagation(
    cell: Cell = minimalrnn,
    parameters: Parameters | None = None,
    *,
    bias_means: Sequence[float] = tuple(range(-4, 9)),
    steps: int = 100,
    switch: int = 10,
    width: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    with_tied: bool = True,
    paper_size: bool = False,
    resolution: int = 33,
    workers: int | None = None,
    progress: bool = False,
) -> SignalPropagation:
    r"""Follow the correlation of two networks whose inputs become equal, by theory and samples.

    .. math:: \Sigma_{12}^t = 0 \;\; (t < t_0), \qquad \Sigma_{12}^t = 1 \;\; (t \ge t_0)

    Parameters
    ----------
    cell, parameters
        A cell with one state and one preactivation.  The default is the minimalRNN with the
        reference's sigma_w = 6.88, sigma_v = 1.39, sigma_b = 0, R = 0.46.
    bias_means
        mu_b, one or more.
    steps, switch
        Number of steps, and t_0, the first step with equal inputs; 1 < switch <= steps.
    width, samples
        N and the number of networks for each bias mean, at least 2; 512 and 16 by default.
    seed
        Every bias mean draws networks of its own from it.
    with_tied
        Whether to sample networks with tied weights as well, beside a theory of their own.
    paper_size
        Take the reference's 8192 and 1000 for the default width and samples.  With all other
        defaults and on one core this takes about half an hour without tied networks and, by
        extrapolation, three days with them: one network costs 0.1 s untied, and 20 s and 1.1 GB
        of memory tied, because only tied ones need W and V as matrices.
    resolution
        Number of bias means at which the fixed points are solved.
    workers, progress
        As in :func:`~rmt_jacobian.sampling.sample_correlations`.

    Raises
    ------
    ParameterError
        If an argument is out of its domain.
    HypothesisError
        If the cell has several states or preactivations.

    Notes
    -----
    The theory is that of untied weights and N -> infinity; tied networks need not follow it, and
    have that of :func:`.tied_correlations`.
    Where chi_1 > 1 equal inputs do not make the states equal: C = 1 is still a fixed point, but
    an unstable one, and two networks that start apart end at c* < 1.

    References
    ----------
    :cite:t:`Chen2018`, Figure 1.

    Examples
    --------
    >>> found = signal_propagation(bias_means=[-2.0], steps=20, width=32, samples=2,
    ...                            with_tied=False, resolution=2, workers=1)
    >>> found.paths[0].theory[[8, 9, 19]].round(3)
    array([0.   , 0.049, 0.985])
    """
    width = (8192 if paper_size else 512) if width is None else width
    samples = (1000 if paper_size else 16) if samples is None else samples
    means = _checked(bias_means, steps, switch, samples, resolution)
    parameters = Parameters.of(cell) if parameters is None else parameters
    single_site(cell)
    inputs = np.where(np.arange(1, steps + 1) < switch, 0.0, 1.0)
    seeds = spawn(seed, 2 * len(means))

    def sampled(at: Parameters, tied: bool, rng: np.random.Generator) -> SampledPath:
        paths = sample_correlations(
            cell, at, inputs.tolist(), width=width, samples=samples, seed=rng, tied=tied,
            workers=workers, progress=progress,
        )  # fmt: skip
        return SampledPath.of(paths)

    paths = []
    for k, mean in enumerate(means):
        at = parameters.with_values(bias_mean=mean)
        pair = stationary(cell, at).pair()
        (variance,) = pair.law.state_squares.values()
        theory = trajectory(
            cell, at, inputs.tolist(), start_variance=variance, start_correlation=0.0
        )
        untied = sampled(at, False, seeds[2 * k])
        tied = kept = None
        if with_tied:
            tied = sampled(at, True, seeds[2 * k + 1])
            (kept,) = tied_correlations(
                cell, at, inputs.tolist(), start_variances=[variance], sites=_SITES,
                seed=np.random.SeedSequence([seed, k]),
            )  # fmt: skip
        paths.append(
            CorrelationPath(
                mean, theory.preactivation_correlation, untied, tied, _correlation(pair),
                pair.timescale, kept,
            )
        )  # fmt: skip
    grid = np.linspace(means[0], means[-1], resolution if len(means) > 1 else 1)
    transitions = _transitions(cell, parameters, grid)
    # Timescales diverge at transitions, so the grid closes in on them.
    near = [t.bias_mean + step for t in transitions for step in (-0.1, -0.02, 0, 0.02, 0.1)]
    grid = np.unique([*grid, *(mean for mean in near if means[0] <= mean <= means[-1])])
    curves = tuple(_curve(cell, parameters, grid, sigma_12) for sigma_12 in _INPUT_CORRELATIONS)
    return SignalPropagation(
        cell, parameters, inputs, switch, tuple(paths), curves, transitions, width, samples, seed
    )


def _checked(
    bias_means: Sequence[float], steps: int, switch: int, samples: int, resolution: int
) -> list[float]:
    """Return the bias means in increasing order, each once."""
    if not len(bias_means):
        raise ParameterError("give at least one bias mean")
    if not 1 < switch <= steps:
        raise ParameterError(
            f"switch must lie between 2 and steps = {steps}, not {switch}: it is the first step "
            "with equal inputs"
        )
    for name, value in (("samples", samples), ("resolution", resolution)):
        if value < 2:
            raise ParameterError(f"{name} must be at least 2, not {value}")
    return sorted({float(mean) for mean in bias_means})


def _transitions(cell: Cell, parameters: Parameters, grid: np.ndarray) -> tuple[Transition, ...]:
    def excess(mean: float) -> float:
        return stationary(cell, parameters.with_values(bias_mean=mean)).growth_rate - 1

    return tuple(
        Transition(root.value, continuous=root.converged)
        for root in roots_in(excess, grid.tolist())
    )


def _curve(
    cell: Cell, parameters: Parameters, grid: np.ndarray, sigma_12: float
) -> FixedPointCurve:
    pairs = [
        stationary(cell, parameters.with_values(bias_mean=mean)).pair(sigma_12)
        for mean in grid.tolist()
    ]
    limits = np.array([_correlation(pair) for pair in pairs])
    timescales = np.array([pair.timescale for pair in pairs])
    return FixedPointCurve(sigma_12, grid, limits, timescales)


def _correlation(pair: PairLaw) -> float:
    (found,) = pair.correlations.values()
    return found
