r"""Lyapunov exponents of long products, gated ones too: the chain of infinitely many steps.

Between the singular values of :math:`J_T \cdots J_1`, which lie further and further apart as T
grows, the chain of :mod:`~rmt_jacobian.pencils.chain` settles into a wave: :math:`u_t = -y` at
every step, and the cavities change by a constant factor a step,

.. math::
    k_t = -i \mu^t \kappa_t, \qquad r_t = -i \mu^{-t} \rho_t, \qquad \mu = e^{2 \lambda} .

The chain equations then are, site by site, with :math:`b = y \gamma(-y)` and stationary
:math:`(A_t, B_t)`,

.. math::
    \kappa_t = \frac{A_t^2 \kappa_{t-1}}{\mu + b \kappa_{t-1}} + B_t^2, \qquad
    \mu \rho_{t-1} = \frac{A_t^2 \rho_t}{1 + B_t^2 \rho_t} + b, \qquad
    y = E\left[\frac{B_t^2 \rho_t}{1 + \kappa_t \rho_t}\right], \qquad
    x = E\left[\frac{\kappa_t \rho_t}{1 + \kappa_t \rho_t}\right] .

The last average is the same at every step, and at the ends of a finite chain it is the share of the
singular values above s: x is the quantile of the exponent from the top, and the two equations give
y and :math:`\mu`.  For A = 0 they are Newman's law, with y = x.  The wave of cells with several
states or preactivations is in :mod:`~rmt_jacobian.pencils.blocks.wave`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.special import expit, logit
from tqdm import tqdm

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Point
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.lyapunov.blocks import between_found, block_exponents
from rmt_jacobian.mean_field import (
    Network,
    SiteLaw,
    free_step_law,
    steps_are_free,
    untied_law_of,
)
from rmt_jacobian.pencils.blocks.untied import WeightsChoice, weight_ensembles
from rmt_jacobian.pencils.chain.history import SiteHistory, drawn_sites
from rmt_jacobian.pencils.ensembles import (
    BiInvariant,
    GaussianWeights,
    OrthogonalWeights,
)

__all__ = ["LongChain", "LyapunovExponents", "Wave", "lyapunov_exponents"]

_FORGOTTEN = 1e-4  # what is left of the start of a recursion
_SHORTEST, _LONGEST = 16, 1000  # steps that take it there
_DRAWS = 2**20  # sites times steps
_NODES = 33  # at which the equation is solved; exponents between them are interpolated
_SWEEPS, _EXACT, _STRIDE = 60, 1e-7, 1.0  # of Newton's method


@dataclass(frozen=True)
class LyapunovExponents:
    """Exponents at quantiles from the top.

    Attributes
    ----------
    quantiles
        x: a share x of the exponents is above.
    exponents
        Of the shape of ``quantiles``.
    errors
        Standard errors, from the finite number of sites that stand for the site law.
    missing
        Why some exponents are nan, which were not found; empty if none is.
    """

    quantiles: np.ndarray
    exponents: np.ndarray
    errors: np.ndarray
    missing: str = ""


@dataclass(frozen=True, eq=False)
class LongChain:
    """The travelling wave of a chain on given sites.

    Parameters
    ----------
    sites
        Independent stationary histories of sites; averages run over their middle.
    ensemble
        The law of every W.
    memory
        Steps at either end that only serve to forget the start.
    """

    sites: SiteHistory
    ensemble: BiInvariant
    memory: int

    def wave(self, x: float, start: np.ndarray) -> "Wave":
        r"""Solve for the wave at quantile x in (0, 1) by Newton's method.

        Parameters
        ----------
        x
            The quantile from the top.
        start
            A first guess of log mu and of the logit of y.

        Raises
        ------
        ConvergenceError
            If Newton's method does not end.
        """
        unknowns = np.array(start, dtype=float)
        for _ in range(_SWEEPS):
            shares, slopes = self._shares(*unknowns)
            means = shares.mean(axis=1)
            if not np.all((means > 0) & (means < 1)):
                break
            # Logits of the shares are nearly linear in the unknowns.
            matrix = slopes / (means * (1 - means))[:, None]
            matrix[1, 1] -= 1
            step = np.linalg.solve(matrix, logit(means) - [logit(x), unknowns[1]])
            length = float(np.abs(step).max())
            unknowns -= step / max(1.0, length / _STRIDE)
            if length < _EXACT:
                logits = shares / (means * (1 - means))[:, None]
                return Wave(unknowns, -np.linalg.solve(matrix, logits)[0] / 2)
        raise ConvergenceError(
            f"no exponent was found at quantile {x:.3g}: sites may block the product there; "
            "sample it instead"
        )

    def growth(self) -> np.ndarray:
        """Return the mean of A^2 + sigma_w^2 B^2 of every site over the steps that count."""
        middle = slice(self.memory, self.sites.steps - self.memory)
        direct, gate = self.sites.direct[middle], self.sites.gate[middle]
        return np.mean(direct**2 + self.ensemble.variance * gate**2, axis=0)

    def _shares(self, log_mu: float, logit_y: float) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y at every site, shape (2, sites), and the derivatives of their means."""
        y, mu = float(expit(logit_y)), math.exp(log_mu)
        gain, gain_slope = (
            float(f(np.array(-y))) for f in (self.ensemble.gain, self.ensemble.gain_derivative)
        )
        b = y * gain
        pasts = self._pasts(mu, b)
        A2, B2 = self.sites.direct_squares, self.sites.gate_squares
        rho = np.full_like(A2[0], b / mu)
        tangent = np.stack([-rho, np.full_like(rho, 1 / mu)])  # in log mu and in b
        shares, slopes = np.zeros((2, rho.size)), np.zeros((2, 2))
        for t in reversed(range(self.memory, self.sites.steps)):
            if t in pasts:
                kappa, other = pasts[t]
                inverse = 1 / (1 + kappa * rho)
                shares += np.stack([kappa, B2[t]]) * (rho * inverse)
                square = inverse * inverse
                slopes[0] += np.mean((other * rho + kappa * tangent) * square, axis=1)
                slopes[1] += np.mean(B2[t] * (tangent - rho * rho * other) * square, axis=1)
            passing = 1 + B2[t] * rho
            carried = A2[t] / (mu * passing)
            tangent = carried / passing * tangent
            rho = carried * rho + b / mu
            tangent[0] -= rho
            tangent[1] += 1 / mu
        slopes[:, 1] *= (gain - y * gain_slope) * y * (1 - y)
        return shares / len(pasts), slopes / len(pasts)

    def _pasts(self, mu: float, b: float) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return kappa at the steps that count, with its derivatives in log mu and in b."""
        A2, B2 = self.sites.direct_squares, self.sites.gate_squares
        kappa, tangent = B2[0], np.zeros((2, B2[0].size))
        found = {}
        for t in range(self.sites.steps - self.memory):
            passing = mu + b * kappa
            speed = A2[t] / (passing * passing)
            tangent = speed * (mu * tangent - np.stack([mu * kappa, kappa * kappa]))
            kappa = A2[t] * kappa / passing + B2[t]
            if t >= self.memory:
                found[t] = kappa, tangent
        return found


@dataclass(frozen=True, eq=False)
class Wave:
    """A solution at one quantile.

    Attributes
    ----------
    unknowns
        log mu and the logit of y.
    influence
        What every site adds to the exponent, to first order, up to a constant; shape (sites,).
    """

    unknowns: np.ndarray
    influence: np.ndarray

    def exponent(self, control: np.ndarray) -> tuple[float, float]:
        """Return the exponent and its standard error.

        Parameters
        ----------
        control
            A variable of every site whose mean is known to be 0: the part of the noise that goes
            with it is taken off.
        """
        deviation = control - control.mean()
        spread = deviation @ deviation
        slope = float(deviation @ self.influence / spread) if spread > 0 else 0.0
        rest = self.influence - slope * control
        error = rest.std(ddof=1) / math.sqrt(rest.size)
        return float(self.unknowns[0]) / 2 - slope * float(control.mean()), float(error)


def lyapunov_exponents(
    network: Network,
    parameters: Point = None,
    weights: WeightsChoice = "gaussian",
    quantiles: ArrayLike = 0.5,
    *,
    draws: int | None = None,
    seed: Seed = 0,
    progress: bool = False,
) -> LyapunovExponents:
    r"""Return the Lyapunov exponents of untied networks at quantiles from the top.

    Parameters
    ----------
    network, parameters
        A stationary law, from :func:`.stationary`; or any cell, by itself or by name, and its
        hyperparameters.  States may be passed on beside W; with d of them there are d N exponents.
    weights
        ``"gaussian"``, ``"orthogonal"``, or an ensemble that states its own scale; or one for each
        preactivation by name.
    quantiles
        x in [0, 1), of any shape; at x = 0 the exponent is :math:`\frac12 \log \chi_1`.
    draws
        How many sites times steps stand for the site law; the error falls like one over the root.
        By default a million for one state and one preactivation, an eighth of that for others.
    seed
        Of the sites.
    progress
        Whether to show a progress bar, from two seconds on.

    Notes
    -----
    Cells without memory that go through one W have Newman's law in closed form, without an error.
    Others are solved at some 33 quantiles at most, and interpolated between them in the logit of
    x.  Where the rank of the product is not full, the exponents beyond it are minus infinity.

    Assumes fresh bi-invariant W at every step, N -> infinity first, then T -> infinity.

    Raises
    ------
    ParameterError
        If a quantile is not in [0, 1) or W is zero.
    ConvergenceError
        If sites pass on their state for too many steps, or block the product at every quantile;
        at single quantiles the exponent is nan, and ``missing`` says why.

    References
    ----------
    :cite:t:`Newman1986` for A = 0; the wave is ours.

    Examples
    --------
    >>> found = lyapunov_exponents("minimalrnn", weights="gaussian",
    ...                            quantiles=[0.0, 0.4, 0.9], draws=2**17)
    >>> found.exponents.round(1).tolist()
    [-0.0, -0.6, -3.6]
    """
    x = np.asarray(quantiles, dtype=float)
    if not np.all((x >= 0) & (x < 1)):
        raise ParameterError("quantiles must lie between 0 and 1, 1 excluded")
    state = untied_law_of(network, parameters, what="the law of Lyapunov exponents").state
    cell, parameters, law = state.cell, state.parameters, state.site_law
    title = f"{cell.name}, Lyapunov exponents" if progress else None
    if law is None:
        exponents, errors, missing = block_exponents(
            state, weights, x.ravel(), draws=draws, seed=seed, progress=title
        )
        return LyapunovExponents(x, exponents.reshape(x.shape), errors.reshape(x.shape), missing)
    ((name, _),) = parameters.groups
    random = weight_ensembles(parameters, (name,), weights)[name]
    if not (random.variance > 0 and law.chi1 > 0):
        raise ParameterError("without weights nothing is passed on: give weight_std above 0")
    if steps_are_free(cell) and isinstance(random, GaussianWeights | OrthogonalWeights):
        name = "gaussian" if isinstance(random, GaussianWeights) else "orthogonal"
        free = replace(free_step_law(cell, parameters, name), weight_std=random.weight_std)
        return LyapunovExponents(x, free.exponents(x), np.zeros(x.shape))
    return wave_exponents(law, random, x, draws=draws, seed=seed, progress=title)


def wave_exponents(
    law: SiteLaw,
    random: BiInvariant,
    quantiles: np.ndarray,
    *,
    draws: int | None,
    seed: Seed,
    progress: str | None = None,
) -> LyapunovExponents:
    """Return the exponents of one state and one preactivation from the wave on drawn sites.

    Parameters
    ----------
    law, random
        The stationary law of a site and that of W.
    quantiles, draws, seed
        As in :func:`lyapunov_exponents`.
    progress
        Title of a progress bar; none by default.
    """
    growth = law.direct_gain + random.variance * law.weight_gain  # of its own scale
    x, largest = quantiles, math.log(growth) / 2
    exponents, errors = np.full(x.shape, largest), np.zeros(x.shape)
    inside, missing = x > 0, ""
    if np.any(inside):
        chain = _drawn_chain(law, random, draws or _DRAWS, seed)
        exponents[inside], errors[inside], missing = _along(chain, x[inside], largest, progress)
    return LyapunovExponents(x, exponents, errors, missing)


def _drawn_chain(law: SiteLaw, random: BiInvariant, draws: int, seed: Seed) -> LongChain:
    """Draw histories long enough for the memory of the cell."""
    pilot_rng, rng = spawn(seed, 2)
    pilot = drawn_sites(law, 1, 4096, pilot_rng)
    kept = float(np.mean(pilot.direct_squares[0]))
    passed = random.variance * float(np.mean(pilot.gate_squares[0]))
    rate = kept / (kept + passed)
    memory = math.ceil(math.log(_FORGOTTEN) / math.log(rate)) if 0 < rate < 1 else _SHORTEST
    if memory > _LONGEST or passed == 0:
        raise ConvergenceError(
            f"sites remember more than {_LONGEST} steps: sample the exponents instead"
        )
    memory = max(memory, _SHORTEST)
    steps = 3 * memory + 64
    return LongChain(drawn_sites(law, steps, max(64, draws // steps), rng), random, memory)


def _along(
    chain: LongChain, x: np.ndarray, largest: float, progress: str | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Solve at the quantiles, or at nodes between which the exponents are interpolated."""
    wanted = np.unique(x)
    nodes = wanted
    if len(wanted) > _NODES:
        nodes = expit(np.linspace(logit(wanted[0]), logit(wanted[-1]), _NODES))
    # For small x only the state that was just made reaches the next W: y / x is its share.
    passed = np.mean(chain.sites.gate_squares[0]) * chain.ensemble.variance
    start = np.array([2 * largest, logit(0.9 * nodes[0]) + np.log(passed) - 2 * largest])
    places, waves, missing = [], [], ""
    silent = progress is None
    bar = tqdm(nodes, progress, unit="quantile", disable=silent, delay=2, mininterval=0.5)
    for node in bar:
        if len(waves) > 1:
            move = logit([*places[-2:], node])
            change = waves[-1].unknowns - waves[-2].unknowns
            start = waves[-1].unknowns + change * (move[2] - move[1]) / (move[1] - move[0])
        elif waves:
            start = waves[0].unknowns
        try:
            waves.append(chain.wave(node, start))
            places.append(node)
        except ConvergenceError as error:
            missing = missing or str(error)
    if not waves:
        raise ConvergenceError(missing)
    # At x = 0 the exponent is that of the mean growth, whose expectation is known.
    control = chain.growth() - math.exp(2 * largest)
    exponents, errors = np.array([wave.exponent(control) for wave in waves]).T
    if nodes is wanted or len(waves) == 1:
        found = np.full((2, len(nodes)), np.nan)
        found[:, np.searchsorted(nodes, places)] = exponents, errors
        return *found[:, np.clip(np.searchsorted(nodes, x), 0, len(nodes) - 1)], missing
    found = CubicSpline(logit(places), exponents)(logit(x))
    known = between_found(x, nodes, np.isin(nodes, places))
    return np.where(known, found, np.nan), np.interp(x, places, errors), missing
