import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, Preactivation, gru, minimalrnn, vanilla
from rmt_jacobian.comparison import SampledPath, signal_propagation
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field.tied.correlations import tied_correlations

WIDTH, SAMPLES = 2048, 12
# One bias mean in each phase, and the critical one.
BIAS_MEANS = (-2.0, 0.0, 2.0, 4.0, 7.0)


@pytest.fixture(scope="module")
def found():
    return signal_propagation(
        bias_means=BIAS_MEANS, steps=60, width=WIDTH, samples=SAMPLES, seed=1, with_tied=False,
        resolution=13,
    )  # fmt: skip


def tolerance(width: int, samples: int) -> float:
    """Five standard errors and the bias of a finite width.

    The cosine of N independent pairs has standard deviation 1 / sqrt(N) at c = 0; with the memory
    of earlier steps it is 1.6 / sqrt(N) at most, and its mean is off by 4.4 / N at most (measured
    with 1600 networks at each of the bias means, N = 512).
    """
    return 5 * 1.6 / math.sqrt(width * samples) + 5 / width


def test_untied_samples_follow_the_theory(found):
    for path in found.paths:
        deviation = np.abs(path.untied.mean - path.theory)
        assert deviation.max() < tolerance(WIDTH, SAMPLES)
        # Against the measured errors too, where they are above rounding.
        noisy = path.untied.standard_error > 1e-9
        z = deviation[noisy] / (path.untied.standard_error[noisy] + 5 / WIDTH)
        assert np.sqrt(np.mean(z**2)) < 2


def test_a_wrong_theory_would_be_noticed(found):
    deviation = np.abs(found.paths[2].untied.mean - found.paths[3].theory)
    assert deviation.max() > 5 * tolerance(WIDTH, SAMPLES)


def test_inputs_switch_once(found):
    np.testing.assert_array_equal(found.input_correlations, [0.0] * 9 + [1.0] * 51)
    np.testing.assert_array_equal(found.times, np.arange(1, 61))
    for path in found.paths:
        np.testing.assert_allclose(path.theory[:9], 0, atol=1e-12)
        assert (np.diff(path.theory[8:]) > -1e-12).all()


def test_equal_inputs_do_not_make_chaotic_networks_equal(found):
    limits = {path.bias_mean: path.limit for path in found.paths}
    assert limits[-2.0] == pytest.approx(1, abs=1e-12)
    assert limits[7.0] == pytest.approx(1, abs=1e-12)
    assert limits[2.0] == pytest.approx(0.7879, abs=1e-4)
    assert limits[4.0] == pytest.approx(0.5337, abs=1e-4)


def test_linearised_dynamics_join_the_full_map_late(found):
    for path in found.paths[0], found.paths[2]:
        line = found.linearised(path)
        distance = np.abs(path.limit - path.theory[found.switch - 1 :])
        late = (distance < 1e-2) & (distance > 1e-7)
        assert late.sum() > 5
        np.testing.assert_allclose(line[late], distance[late], rtol=0.1)
        assert abs(line[0] / distance[0] - 1) > 0.1  # early they differ


def test_no_linearisation_at_an_infinite_timescale(found):
    assert found.linearised(replace(found.paths[1], timescale=math.inf)) is None


def test_transitions_are_told_apart(found):
    critical, jump = found.transitions
    assert critical.continuous
    assert critical.bias_mean == pytest.approx(0.01362, abs=1e-5)
    assert not jump.continuous
    assert jump.bias_mean == pytest.approx(4.5972, abs=1e-3)


def test_timescale_grows_towards_the_critical_point(found):
    equal, close, unrelated = found.curves
    assert [curve.input_correlation for curve in found.curves] == [1.0, 0.99, 0.0]
    critical = found.transitions[0].bias_mean
    at = int(np.argmin(np.abs(equal.bias_means - critical)))
    assert equal.timescales[at] > 1e6
    assert close.timescales[at] < 10
    assert unrelated.timescales[at] < 1
    assert (equal.bias_means[0], equal.bias_means[-1]) == (-2.0, 7.0)


def test_tied_networks_and_seeds():
    options = {"bias_means": [1.0], "steps": 6, "switch": 3, "width": 16, "samples": 3}
    first, again, other = (
        signal_propagation(**options, seed=seed, resolution=2, workers=1) for seed in (4, 4, 5)
    )
    assert first.paths[0].tied.mean.shape == (6,)
    np.testing.assert_array_equal(first.paths[0].tied.mean, again.paths[0].tied.mean)
    np.testing.assert_array_equal(first.paths[0].untied.mean, again.paths[0].untied.mean)
    assert not np.array_equal(first.paths[0].untied.mean, other.paths[0].untied.mean)
    assert not np.array_equal(first.paths[0].untied.mean, first.paths[0].tied.mean)


def test_bias_means_come_back_sorted_and_once():
    found = signal_propagation(
        bias_means=[1, -1, 1.0], steps=3, switch=2, width=8, samples=2, with_tied=False,
        resolution=2, workers=1,
    )  # fmt: skip
    assert [path.bias_mean for path in found.paths] == [-1.0, 1.0]


def test_vanilla_network():
    found = signal_propagation(
        vanilla, Parameters.of(vanilla, weight_std=1.5, input_std=0.3, input_variance=1),
        bias_means=[0.0], steps=20, width=1024, samples=16, with_tied=False, resolution=2,
        workers=1,
    )  # fmt: skip
    (path,) = found.paths
    deviation = np.abs(path.untied.mean - path.theory)
    assert deviation.max() < tolerance(1024, 16)


def test_standard_error_is_that_of_the_mean():
    path = SampledPath.of(np.array([[0.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_allclose(path.mean, [0.5, 1.0])
    np.testing.assert_allclose(path.standard_error, [0.5, 0.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias_means": []}, "at least one bias mean"),
        ({"switch": 1}, "switch"),
        ({"steps": 9, "switch": 10}, "switch"),
        ({"samples": 1}, "samples"),
        ({"resolution": 1}, "resolution"),
        ({"width": 0}, "width"),
    ],
)
def test_arguments_out_of_domain(options, message):
    with pytest.raises(ParameterError, match=message):
        signal_propagation(**{"bias_means": [0.0], "samples": 2, **options})


def test_cell_with_two_states_is_refused():
    (h,), other = minimalrnn.states, sp.Symbol("g", real=True)
    cell = Cell(
        name="two",
        states=(h, other),
        input=minimalrnn.input,
        preactivations=(Preactivation("update", minimalrnn.gates[0], h),),
        updates=(minimalrnn.updates[0], other),
        typical_parameters=minimalrnn.typical_parameters,
    )
    with pytest.raises(HypothesisError):
        signal_propagation(cell, bias_means=[0.0])


@pytest.mark.slow
def test_tied_samples_follow_a_theory_of_their_own():
    # Where a change lasts: in forty steps tied networks come further than untied ones.
    width, samples = 512, 24
    found = signal_propagation(bias_means=[4.0], steps=100, width=width, samples=samples, seed=3)
    (path,) = found.paths
    assert path.tied is not None
    allowed = tolerance(width, samples) + 5 * 1.6 / math.sqrt(16384)
    late = slice(60, None)
    assert np.abs(path.tied.mean - path.tied_theory)[late].mean() < allowed / 2
    assert np.abs(path.tied.mean - path.tied_theory).max() < allowed
    assert (path.tied_theory - path.theory)[-1] > 0.15


def test_correlations_of_a_cell_with_several_gates():
    point = Parameters.of(gru, input_std=1.0)
    equal = tied_correlations(
        gru, point, [1.0] * 6, start_variances=[0.2], start_correlation=1.0, sites=512
    )
    assert equal.shape == (3, 6)
    np.testing.assert_allclose(equal, 1.0, atol=1e-9)
    with pytest.raises(ParameterError, match="one start variance for each of 1 states, not 2"):
        tied_correlations(gru, point, [1.0], start_variances=[0.2, 0.2])
