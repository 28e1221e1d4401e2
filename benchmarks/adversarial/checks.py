"""The verdict on one point: every number of the package against the simulation."""

import contextlib
import math
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from benchmarks.adversarial.grammar import Point, random_point
from benchmarks.adversarial.simulation import (
    Growth,
    Measured,
    Simulation,
    sampled_singular_values,
)
from benchmarks.adversarial.theory import GROWTH_STEPS, Claim, claims, law_of
from rmt_jacobian.cells import hard_tanh, relu
from rmt_jacobian.errors import RmtJacobianError

__all__ = ["Outcome", "check"]

# Standard errors beyond which a simulation is repeated with more sites, and in the end believed.
_DOUBT = 4.0
_SIZES = ((4096, 160), (32_768, 320), (262_144, 480))  # sites and recorded steps
_TREND = 2.0  # standard errors by which a slope moves with the number of sites
_RESOLUTION = 5e-4  # relative; a population of M sites has a bias of order 1/M
_SLOWEST = 60  # seconds of the processor
_LONGEST = 4000  # steps of settling
_FALLS, _TURNS, _TOGETHER = 0.97, 3, 1e-5  # of distances from window to window; of a variance
_WINDOW, _LATER = 40, 600  # steps of a mean, and steps after which it is taken once more
_DEAD, _GONE = 1e-12, 1e-200  # a variance that dies out has no correlation, or 1
# What is met of events that may add so much, at most: a change dies where no site passes it on in
# one step, so that a quarter of a site among the most of _SIZES is too few.
_LITTLE, _UNSEEN = 1e-9, 1e-6
_CREEPS = 2e-3  # of a correlation, in one step
_APART = 0.01  # of two slopes that are one where networks are equal
_KINKED = (relu, hard_tanh)
_DRIFT = 0.1  # of a window of steps, beyond which it is no noise
_EVEN = 0.02  # share of the sites on which a growth rate must rest
_SCATTER = 0.5  # of the logarithm of a growth from step to step, beyond which it is noise
_BLUR = 2e-3  # of the largest value, by which few sites and few neurons may shift narrow bands


class OutOfTimeError(Exception):
    """A point took too long."""


@dataclass
class Outcome:
    """What became of a point.

    Attributes
    ----------
    kind
        ``"right"``, ``"refused"``, ``"wrong"``, ``"crashed"``, ``"slow"``, ``"unsettled"`` where
        only the simulation finds no stationary state in its time, or ``"unbounded"`` where neither
        finds one.
    seconds
        Processor time of the package alone.
    """

    seed: int
    kind: str
    message: str = ""
    seconds: float = 0.0
    checked: list[str] = field(default_factory=list)


def check(seed: int, *, laws_of: Sequence[str] = ()) -> Outcome:
    """Compare the package with the simulation at the point of a seed.

    Parameters
    ----------
    seed
        Of the point.
    laws_of
        The ensembles whose laws of one step are compared as well.
    """
    point = random_point(seed)
    start = time.process_time()
    try:
        with _limited(_SLOWEST), warnings.catch_warnings():
            warnings.simplefilter("error")
            found = claims(point)
            laws = {weights: law_of(point, weights) for weights in laws_of}
            for law in laws.values():  # makes the table, which may be refused
                law.cdf(np.array([0.0])), law.error_estimate, law.moment_errors
    except RmtJacobianError as error:
        seconds = time.process_time() - start
        simulation = Simulation(point, _SIZES[0][0], seed=1)
        settles = _settled(simulation) and _stays(simulation)
        return Outcome(seed, "refused" if settles else "unbounded", str(error), seconds)
    except OutOfTimeError:
        return Outcome(seed, "slow", point.title, time.process_time() - start)
    except Exception as error:
        message = f"{type(error).__name__}: {error}; {point.title}"
        return Outcome(seed, "crashed", message, time.process_time() - start)
    seconds = time.process_time() - start
    bad: list[str] = []
    fewer: dict[str, Measured] = {}
    claimed = {claim.name: claim.value for claim in found}
    for sites, steps in _SIZES:
        measured, simulation = _measured(point, sites, steps)
        if measured is None:
            return Outcome(seed, "unsettled", point.title, seconds)
        bad = [
            _described(claim, measured[claim.name])
            for claim in found
            if claim.name in measured
            and not _is_unseen(claim, measured, claimed, len(point.cell.states))
            and _differs(claim, measured[claim.name], sites)
            and not _comes_near(claim, measured[claim.name], fewer.get(claim.name))
        ]
        fewer = fewer or measured  # of the fewest sites: rates that coincide come near slowly
        # A state that has died out at a kink is on neither side of it, those of real networks are.
        seen = measured["size at kinks"].value > _DEAD
        for weights, law in laws.items() if seen else ():
            bad += _law_differs(point, simulation, measured["first"], weights, law, sites)
        if not bad:
            break
        if not _stays(simulation):  # a variance creeps so slowly that windows do not show it
            return Outcome(seed, "unsettled", point.title, seconds)
    kind = "wrong" if bad else "right"
    message = f"{'; '.join(bad)}; {point.title}" if bad else ""
    return Outcome(seed, kind, message, seconds, [claim.name for claim in found])


@contextlib.contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Stop after so much time of the processor."""

    def stop(*_: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _differs(claim: Claim, measured: Measured, sites: int) -> bool:
    scale = 1.0 if claim.name.startswith("c ") else abs(measured.value) + 1e-12
    allowed = _DOUBT * math.hypot(measured.error, claim.error, _RESOLUTION * scale)
    return not abs(claim.value - measured.value) <= allowed + 8 / sites * scale


def _is_unseen(
    claim: Claim, measured: dict[str, Measured], claimed: dict[str, float], delay: int
) -> bool:
    """Whether a number rests on events that so many sites never meet, or its variance does."""
    variance = f"q {claim.name[2:]}"
    if claim.name.startswith("c ") and variance in measured:
        # A correlation that falls by less a step is still on its way when the others have settled.
        creeps = abs(1 - claimed.get("chi", 0.0)) <= _CREEPS
        return creeps or measured[variance].value <= _GONE < claimed[variance]
    own = measured[claim.name]
    if claim.name == "chi" and measured["size at kinks"].value <= _DEAD:
        # Networks that have died out count as equal; while they die at a kink, they are not.
        alike = measured.get("chi1", own)
        if abs(own.value - alike.value) > _APART * alike.value:
            return True
    # What takes several steps has a rate that is a root of how rare it is.
    events = abs(claim.value) ** (delay if claim.name.startswith("chi") else 1)
    return max(own.value, own.error) <= _LITTLE * events <= _LITTLE * _UNSEEN


def _comes_near(claim: Claim, measured: Measured, fewer: Measured | None) -> bool:
    """Whether a slope comes nearer with the number of sites, as rates that coincide do."""
    if fewer is None or claim.name not in ("chi", "chi1"):
        return False
    moved = abs(measured.value - fewer.value) > _TREND * math.hypot(measured.error, fewer.error)
    return moved and abs(measured.value - claim.value) < abs(fewer.value - claim.value)


def _described(claim: Claim, measured: Measured) -> str:
    return (
        f"{claim.name} = {claim.value:.6g} +- {claim.error:.2g}, simulated "
        f"{measured.value:.6g} +- {measured.error:.2g}"
    )


def _measured(
    point: Point, sites: int, steps: int
) -> tuple[dict[str, Measured] | None, Simulation]:
    """Run a population until it has settled, and average over the steps that follow."""
    simulation = Simulation(point, sites, seed=1)
    if not _settled(simulation):
        return None, simulation
    names = [each.name for each in point.cell.preactivations]
    same, pair = Growth(simulation, 0), Growth(simulation, 1)
    rows, growths, whole, first = [], [], [], []
    started = Growth(simulation, 0)
    for t in range(steps):
        q, covariance = simulation.draw()
        growths.append((same.step(), pair.step()))
        started.step()
        if t % GROWTH_STEPS == GROWTH_STEPS - 1:
            first.append(started.means[0])
            whole.append(started.means[-1])
            started = Growth(simulation, 0)
        rows.append(np.concatenate([q, covariance]))
        simulation.step()
    table, K = np.array(rows), len(names)
    found = {f"q {name}": Measured.of(table[:, k]) for k, name in enumerate(names)}
    for k, name in enumerate(names):
        q = table[:, k]
        if np.all(q > _DEAD) or not np.any(q > _GONE):
            ratio = np.divide(table[:, K + k], q, out=np.ones(len(q)), where=q > _DEAD)
            found[f"c {name}"] = Measured.of(ratio)
    frozen = point.parameters.bias_kind == "frozen" and any(
        group.bias_std > 0 for _, group in point.parameters.groups
    )
    if not frozen:  # else a window of steps is no limit
        log = np.log(np.maximum(np.array(growths), 1e-300))[steps // 4 :]
        even = [
            growth.evenness > _EVEN and float(log[:, j].std()) < _SCATTER
            for j, growth in enumerate((same, pair))
        ]
        for j, name in compress(enumerate(("chi1", "chi")), even):
            mean = Measured.of_rates(log[:, j], steps // 4)
            value = math.exp(mean.value) if mean.value > -600 else 0.0
            found[name] = Measured(value, value * mean.error)
    kinked = any(each.has(*_KINKED) for each in (*point.cell.updates, *point.cell.sources))
    size = float(np.mean(simulation.states**2))
    found["size at kinks"] = Measured(size if kinked else math.inf, 0.0)
    found["m1"], found["first"] = (
        Measured.of_parts(np.array(of), frozen=frozen) for of in (whole, first)
    )
    return found, simulation


def _settled(simulation: Simulation) -> bool:
    """Run until the covariances of preactivations no longer drift, nor networks approach."""
    window, before, distances = _WINDOW, None, []
    for _ in range(_LONGEST // window):
        rows = []
        for _ in range(window):
            rows.append(np.concatenate(simulation.draw()))
            simulation.step()
        rows = np.array(rows)
        if not np.all(np.isfinite(rows)) or np.max(rows) > 1e12:
            return False
        now, scatter = rows.mean(axis=0), _scatter(rows) / math.sqrt(window / 4)
        variances = np.arange(len(now)) < len(now) // 2  # covariances may scatter about 0
        drift = np.where(variances, _DRIFT * np.abs(now), np.inf)
        noise = np.minimum(3 * scatter, drift) + 1e-5 * np.abs(now) + 1e-14
        q, covariances = np.split(now, 2)
        apart = (q - covariances > _TOGETHER * q) & (q > _DEAD)
        distances = [*distances, np.where(apart, q - covariances, 0.0)]
        last = np.array(distances[-1 - _TURNS :])
        approach = np.any(np.all((last[1:] < _FALLS * last[:-1]) & (last[1:] > 0), axis=0))
        if before is not None and np.all(np.abs(now - before) <= noise) and not approach:
            return True
        before = now
    return False


def _scatter(rows: np.ndarray) -> np.ndarray:
    """Return the deviation of the rows from a line in time: a trend is no scatter."""
    t = np.linspace(-1, 1, len(rows))[:, None]
    slope = (t * rows).sum(axis=0) / (t * t).sum()
    return (rows - slope * t).std(axis=0)


def _stays(simulation: Simulation) -> bool:
    """Whether variances are the same many steps later: some grow more slowly than they scatter."""

    def averaged() -> np.ndarray:
        rows = []
        for _ in range(_WINDOW):
            rows.append(simulation.draw()[0])
            simulation.step()
        return np.mean(rows, axis=0)

    before = averaged()
    for _ in range(_LATER):
        simulation.draw()
        simulation.step()
    return bool(np.all(np.abs(averaged() - before) <= 2 * _DRIFT * before + 1e-14))


def _law_differs(
    point: Point, simulation: Simulation, mean: Measured, weights: str, law, sites: int
) -> list[str]:
    """Compare a law with dense Jacobians at the simulated sites."""
    rng = np.random.default_rng(sites)
    simulation.draw()  # the last step has left preactivations behind that belong to its start
    width, networks = (200, 4) if sites < 20_000 else (400, 8)
    values = np.sort(
        np.concatenate(
            [sampled_singular_values(simulation, width, weights, rng) for _ in range(networks)]
        )
    )
    n = len(values)
    step = _BLUR * max(float(values[-1]), 1e-300)
    above = np.arange(1, n + 1) / n - law.cdf(values + step)  # jumps are on both sides
    below = law.cdf(values - step) - np.arange(n) / n
    distance = float(max(above.max(), below.max()))
    allowed = 1.95 / math.sqrt(n) + 2 / width + law.error_estimate
    bad = []
    if distance > allowed:
        bad.append(f"KS of one {weights} step {distance:.4f}, allowed {allowed:.4f}")
    own = float(law.squares().moment(1))
    stated = (law.moment_errors[0] + 2 * _BLUR) * own
    if abs(own - mean.value) > 4 * mean.error + stated + 1e-12:
        bad.append(f"m_1 of the {weights} law {own:.5g}, simulated {mean.value:.5g}")
    return bad
