"""A seeded sweep of singular-value laws over random parameters; every law checked, or refused.

Run as ``python -m benchmarks.sweep_singular_values 500``.
"""

import argparse
import math
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from rmt_jacobian.cells import Parameters, minimalrnn, vanilla
from rmt_jacobian.errors import ConvergenceError, RmtJacobianError
from rmt_jacobian.pencils import solve_chain
from rmt_jacobian.singular_values import SingularValueLaw, singular_value_law

_CELLS = {"minimalrnn": minimalrnn, "vanilla": vanilla}
_ARC, _ARC_WEIGHTS = np.polynomial.legendre.leggauss(8)
_LEVELS = 14
_LEAST = 1e-270  # points below are not solved
_PROBES = np.array([0.1, 0.6, 0.95])
_MASS, _MOMENT, _DENSITY, _RESIDUAL = 1e-4, 1e-8, 2e-3, 1e-8


@dataclass(frozen=True)
class Point:
    """One law of the sweep."""

    seed: int
    cell: str
    parameters: dict[str, float]
    weights: str
    steps: int
    sites: int

    @classmethod
    def drawn(cls, seed: int) -> "Point":
        """Draw a point; extreme scales, dead and saturated gates included."""
        rng = np.random.default_rng([20180617, seed])
        cell = str(rng.choice(["minimalrnn", "vanilla"]))
        parameters = {
            "weight_std": math.exp(rng.uniform(math.log(0.05), math.log(50))),
            "input_std": rng.uniform(0, 10),
            "bias_mean": rng.uniform(-6, 6),
            "bias_std": rng.uniform(0, 1),
            "input_variance": rng.uniform(0.01, 2),
        }
        return cls(
            seed,
            cell,
            parameters,
            weights=str(rng.choice(["gaussian", "orthogonal"])),
            steps=math.ceil(30 ** (rng.random() ** 1.5)),
            sites=int(rng.choice([64, 128, 256])),
        )

    def law(self) -> SingularValueLaw:
        """Return the law of the squared singular values."""
        cell = _CELLS[self.cell]
        return singular_value_law(
            cell,
            Parameters.of(cell).with_values(**self.parameters),
            weights=self.weights,
            steps=self.steps,
            sites=self.sites,
            seed=self.seed,
            squared=True,
            replicates=0,
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a point: ``passed``, ``refused`` or ``wrong``, and how far it was off."""

    point: Point
    verdict: str
    seconds: float
    errors: dict[str, float] = field(default_factory=dict)
    message: str = ""


def checked(seed: int) -> Outcome:
    """Return the outcome of one point of the sweep."""
    point, start = Point.drawn(seed), time.perf_counter()

    def outcome(verdict: str, message: str = "", **errors: float) -> Outcome:
        return Outcome(point, verdict, time.perf_counter() - start, errors, message)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            law = point.law()
            errors = _errors(law)
        except ConvergenceError as error:
            return outcome("refused", str(error))
        except (RmtJacobianError, RuntimeWarning, ArithmeticError, ValueError, IndexError) as error:
            return outcome("crashed", f"{type(error).__name__}: {error}")
    bounds = dict(_BOUNDS, mass=_MASS + _BANDS * law.teeth)
    wrong = [name for name, error in errors.items() if not error <= bounds[name]]
    return outcome("wrong" if wrong else "passed", " ".join(wrong), **errors)


# Bands of rare sites that are lighter than the teeth of a law are jumps of its cdf, which the pdf
# does not have.
_BANDS = 32
_BOUNDS = {
    "mass": _MASS,
    "mean": _MOMENT,
    "second moment": _MOMENT,
    "tabulated mean": 1e-3,
    "falling cdf": 1e-9,
    "negative pdf": 0.0,
    "cdf": 1e-5,
    "pdf": _DENSITY,
    "residual": _RESIDUAL,
}


def _errors(law: SingularValueLaw) -> dict[str, float]:
    on_sites = _paired(law)
    mean, second = on_sites
    if law.calibration is not None and not law.calibration.reached:
        # The law has the exact moments all the same, and says what its sites miss.
        mean, second = (
            moment / (1 + missed)
            for moment, missed in zip((mean, second), law.calibration.missed, strict=True)
        )
    grid = _grid(law)
    cdf, pdf = law.cdf(grid), law.pdf(grid)
    at = law.ppf(_PROBES)
    at = at[at > _LEAST]
    exact = law.solve(at)
    scale = 1 / at + exact.density  # densities in log x are compared, absolutely and relatively
    around = np.array([mass_within(law, math.sqrt(x)) for x in at])
    # A mean that hangs on rarer values than the table resolves is not taken from the table.
    sites_mean = on_sites[0]
    tabulated = law._integral(lambda s: s**2) if law.resolves(1) else sites_mean
    return {
        "mass": abs(float(np.trapezoid(pdf * grid, np.log(grid))) + float(cdf[0]) - 1),
        "mean": abs(law.moment(1) / mean - 1),
        "second moment": abs(law.moment(2) / second - 1),
        "tabulated mean": abs(tabulated / sites_mean - 1),
        "falling cdf": max(0.0, -float(np.min(np.diff(cdf)))),
        "negative pdf": max(0.0, -float(np.min(pdf))),
        "cdf": float(np.max(np.abs(around - law.cdf(at)), initial=0.0)),
        "pdf": float(np.max(np.abs(exact.density - law.pdf(at)) / scale, initial=0.0)),
        "residual": max(law.residual, float(np.max(exact.residual, initial=0.0))),
    }


def _paired(law: SingularValueLaw) -> tuple[float, float]:
    r"""Return the first two moments by the diagonal-valued recursion on the weighted sites.

    It carries d and the matrix of :math:`\Phi(a)`, the diagonals of J J^T and of J J^T a J J^T.
    """
    sites, ensemble = law.chain.sites, law.chain.ensemble
    p, s_1 = sites.weights, ensemble.s_1
    d, Phi, mean, second = np.ones_like(p), np.eye(len(p)), 1.0, 1.0
    for A, B in zip(sites.direct, sites.gate, strict=True):
        A2, b = A**2, ensemble.variance * B**2
        through = A2 * Phi.sum(axis=1)
        Phi = A2[:, None] * Phi * A2 + np.diag(2 * mean * A2 * b * d + mean**2 * b**2)
        Phi += np.outer(through, b * p) + np.outer(b, through * p)
        Phi += (second - (1 + s_1) * mean**2) * np.outer(b, b * p)
        d = A2 * d + mean * b
        mean, second = float(p @ d), float(p @ Phi.sum(axis=1))
    return mean, second


def _grid(law: SingularValueLaw) -> np.ndarray:
    """Return points that crowd at all nodes of the table, where the density may be steep."""
    positions = np.array([node.position for node in law.table.nodes])
    shares = (1 - np.cos(np.linspace(0, np.pi, 65))) / 2
    fine = (positions[:-1, None] + np.diff(positions)[:, None] * shares).ravel()
    return np.exp(2 * np.unique(fine))


def mass_within(law: SingularValueLaw, radius: float) -> float:
    r"""Return the mass of singular values within a circle, by a quarter of it.

    .. math:: \oint \frac{G(z) dz}{2 \pi i} = \frac{2}{\pi} \int_0^{\pi / 2} \Re(z G(z)) d\theta

    Towards the axis G may vary on the scale of a narrow band, so each stretch is a quarter of the
    one before.
    """
    total, start, high = 0.0, None, math.pi / 2
    for level in range(_LEVELS):
        low = high / 4 if level < _LEVELS - 1 else 0.0
        angle = (low + high) / 2 + (low - high) / 2 * _ARC
        z = radius * np.exp(1j * angle)
        found = solve_chain(law.chain, z, start, workers=1, chunk=len(z))
        values = np.real(z * np.asarray(found.cauchy))
        total += (high - low) / math.pi * float(_ARC_WEIGHTS @ values)
        start, high = np.repeat(found.sigma[-1:], len(z), axis=0), low
    return total


def sweep(seeds: range, workers: int) -> Iterator[Outcome]:
    """Yield the outcomes of points, in order."""
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(checked, seeds)


def main() -> None:
    """Run a sweep and print what did not pass, the counts and the largest errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    found: Counter[str] = Counter()
    largest: dict[str, float] = {"seconds": 0.0}
    seeds = range(arguments.first, arguments.first + arguments.count)
    for outcome in sweep(seeds, arguments.workers):
        found[outcome.verdict] += 1
        for name, error in outcome.errors.items():
            largest[name] = max(largest.get(name, 0.0), error)
        if outcome.verdict != "passed":
            print(outcome, flush=True)
        largest["seconds"] = max(largest["seconds"], outcome.seconds)
    print(dict(found))
    for name, error in largest.items():
        print(f"{name}: at most {error:.3g}")


if __name__ == "__main__":
    main()
