"""Random pairs of laws: every density integrates to the exact moments, or says it is unknown."""

import warnings
from collections import Counter

import numpy as np
import pytest

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.laws import (
    Affine,
    FreePoisson,
    FussCatalan,
    Law,
    MarchenkoPastur,
    PointMasses,
    Semicircle,
    boxplus,
    boxplus_power,
    boxtimes,
    boxtimes_power,
)
from rmt_jacobian.laws.convolution.panels import antiderivative_in_panels


def draw(rng, positive, spread) -> Law:
    """A law with a scale of up to some decades about 1."""
    scale = 10 ** rng.uniform(-spread, spread)
    kind = rng.integers(0, 5 if positive else 6)
    if kind == 0:
        return MarchenkoPastur(10 ** rng.uniform(-1.5, 1.0), scale)
    if kind == 1:
        return MarchenkoPastur(1.0, scale)
    if kind == 2:
        count = int(rng.integers(2, 5))
        at = rng.uniform(0 if positive else -1, 1, count) * scale
        if rng.random() < 0.4:
            at[0] = 0.0
        return PointMasses(tuple(at), tuple(rng.dirichlet(np.ones(count))))
    if kind == 3:
        return FreePoisson(10 ** rng.uniform(-1, 1), scale)
    if kind == 4:
        return Affine(FussCatalan(int(rng.integers(1, 4))), scale)
    return Semicircle(scale, rng.normal() * scale)


def convolved(rng, spread) -> Law:
    positive = rng.random() < 0.5
    first, second = draw(rng, positive, spread), draw(rng, positive, spread)
    if rng.random() < 0.2:
        times = 1 + rng.exponential(2)
        return (boxtimes_power if positive else boxplus_power)(first, times)
    return (boxtimes if positive else boxplus)(first, second)


def moments_of_density(law) -> np.ndarray:
    """Mass, mean and second moment by quadrature of the solved density, in the angle."""
    found = np.array([sum((mass * at**k for at, mass in law.atoms()), 0.0) for k in range(3)])
    for k in range(len(law.support_intervals())):
        for n in range(3):
            size = max(map(abs, law.support()))
            below = antiderivative_in_panels(
                lambda t, k=k, n=n, size=size: (
                    law._solved_rate(k, t) * (law._point(k, t) / size) ** n
                ),
                0.0,
                np.pi,
            )
            found[n] += float(below(np.array(np.pi))) * size**n
    return found


@pytest.mark.parametrize(
    ("seed", "spread", "known", "count"),
    [
        (1, 0.7, 0.94, 20),
        pytest.param(1, 0.7, 0.94, 50, marks=pytest.mark.thorough),
        pytest.param(2, 3.0, 0.7, 40, marks=[pytest.mark.slow, pytest.mark.thorough]),
    ],
    ids=["similar", "many similar", "wild"],
)
def test_no_wrong_answers_over_random_pairs(seed, spread, known, count):
    rng = np.random.default_rng(seed)
    verdicts = Counter()
    for _ in range(count):
        law = convolved(rng, spread)
        size = max(map(abs, law.support()))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                found = moments_of_density(law)
        except ConvergenceError:
            verdicts["unknown"] += 1
            continue
        expected = [law.moment(k) for k in range(3)]
        error = np.abs(found - expected) / size ** np.arange(3.0)
        assert error.max() < 1e-6, (law, error, law.support_intervals(), law.atoms())
        verdicts["right"] += 1
    assert verdicts["right"] >= known * count, verdicts


def mean_by_cdf(law) -> float:
    """The mean, in units of the size, from the cdf between many points."""
    size = max(map(abs, law.support()))
    points = [np.array(law.support()), np.array([at for at, _ in law.atoms()])]
    for low, high in law.support_intervals():
        points.append(low + (high - low) * np.sin(np.linspace(0, np.pi / 2, 3001)) ** 2)
        if low >= 0 and high > 1e3 * low:
            points.append(high * np.logspace(max(np.log10(max(low / high, 1e-60)), -60), 0, 3001))
    x = np.unique(np.concatenate(points))
    at_or_below = law.cdf(x)
    assert np.all(np.diff(at_or_below) >= -1e-10), law
    assert at_or_below[-1] == 1
    below = at_or_below.copy()
    for at, mass in law.atoms():
        below[np.searchsorted(x, at)] -= mass
    return (x[-1] - np.sum(np.diff(x) * (below[1:] + at_or_below[:-1]) / 2)) / size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "spread"), [pytest.param(5, 9.0, marks=pytest.mark.thorough), (6, 18.0)]
)
def test_no_wrong_answers_on_any_scale(seed, spread):
    rng = np.random.default_rng(seed)
    verdicts = Counter()
    for _ in range(15):
        try:
            law = convolved(rng, spread)
            mean = mean_by_cdf(law)
        except ConvergenceError:
            verdicts["refused"] += 1
            continue
        size = max(map(abs, law.support()))
        assert mean == pytest.approx(law.mean() / size, abs=3e-6), law  # of the 3000 points
        verdicts["right"] += 1
    assert verdicts["right"] >= 12, verdicts
