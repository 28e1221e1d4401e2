"""Laws beside spectra by Lanczos quadrature."""

from typing import Any

import numpy as np
import pytest
from scipy.special import kolmogi
from scipy.stats import uniform

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.comparison import compare_lanczos
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import QuarterCircle
from rmt_jacobian.sampling import (
    GaussQuadrature,
    LanczosSpectrum,
    ensemble_of,
    lanczos_recurrences,
    sample_matrix_free,
)
from rmt_jacobian.singular_values import singular_value_law


def spectrum_of(s: np.ndarray, vectors: int, steps: int, seed: int) -> LanczosSpectrum:
    v = np.random.default_rng(seed).standard_normal((len(s), vectors))
    found = lanczos_recurrences(lambda q: (s * s)[:, None] * q, v, steps)
    return LanczosSpectrum((tuple(GaussQuadrature(c) for c in found),), len(s))


def test_the_null_holds_for_independent_values() -> None:
    # The hardest case: singular values that are independent of each other, as those of one step
    # with orthogonal W.  The 90 % null may fail in 10 % of 60 cases, 6 +- 2.3: at most 16.
    rng, failures, distances = np.random.default_rng(0), 0, []
    for seed in range(60):
        spectrum = spectrum_of(rng.random(200), 2, 25, seed)
        found = compare_lanczos(uniform(), spectrum, quantile=0.9)
        failures += found.verdict == "fails"
        distances.append(found.ks)
    assert failures <= 16
    # nor is it far too generous: smoothing at 25 steps keeps most of the distance
    assert np.mean(distances) > 0.3 * found.null
    expected = kolmogi(0.1) * np.sqrt(1 / 200 + 2 / 400) + 0.5 / 200
    assert found.null == pytest.approx(expected)
    assert (found.width, found.networks, found.vectors, found.lanczos_steps) == (200, 1, 2, 25)


def test_a_wrong_law_fails() -> None:
    s = QuarterCircle().ppf((np.arange(4000) + 0.5) / 4000)
    spectrum = spectrum_of(s, 4, 30, 1)
    assert compare_lanczos(QuarterCircle(), spectrum).verdict == "agrees"
    wrong = compare_lanczos(QuarterCircle(2.2), spectrum)
    assert wrong.verdict == "fails"
    assert compare_lanczos(QuarterCircle(2.2), spectrum, law_error=0.2).verdict == "agrees"
    # far off, the law leaves the strict bounds too
    assert compare_lanczos(QuarterCircle(3.0), spectrum).outside > 0.1


def test_masses_at_zero_are_met() -> None:
    s = np.concatenate([np.zeros(1000), np.linspace(0, 1, 1000)])

    class Law:
        def cdf(self, x: np.ndarray) -> np.ndarray:
            return np.where(np.asarray(x) < 0, 0.0, 0.5 + 0.5 * np.clip(x, 0, 1))

        def ppf(self, p: float) -> float:
            return max(0.0, 2 * p - 1)

    spectrum = spectrum_of(s, 4, 30, 2)
    assert compare_lanczos(Law(), spectrum).verdict == "agrees"
    assert compare_lanczos(uniform(), spectrum).verdict == "fails"


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["fast-gaussian", "fast-orthogonal"])
def test_the_law_of_several_steps(weights: Any) -> None:
    parameters = Parameters.of(minimalrnn)
    found = sample_matrix_free(minimalrnn, parameters, weights=weights, steps=3, width=8192,
                               vectors=4, lanczos_steps=30, seed=2)  # fmt: skip
    assert found.spectrum is not None
    law = singular_value_law(minimalrnn, parameters, weights=ensemble_of(weights), steps=3,
                             sites=512, tolerance=1e-3)  # fmt: skip
    own = compare_lanczos(law, found.spectrum, law_error=law.error_estimate)
    assert own.verdict == "agrees"
    assert own.ks < 0.02


def test_wrong_arguments() -> None:
    spectrum = spectrum_of(np.linspace(0, 1, 9), 1, 3, 3)
    with pytest.raises(ParameterError, match="quantile"):
        compare_lanczos(uniform(), spectrum, quantile=1.0)
    with pytest.raises(ParameterError, match="states"):
        compare_lanczos(uniform(), spectrum, states=2)
