import math

import pytest

from rmt_jacobian.cells import Parameters, gru, lstm_peephole, vanilla
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field import fixed_points, gru_bifurcation, saddle_node

QUIET = {"input_std": 0.0, "input_variance": 1.0}


@pytest.mark.parametrize("a_h", [pytest.param(1.6, marks=pytest.mark.thorough), 1.95])
def test_gru_without_biases_in_both_directions(a_h):
    parameters = Parameters.of(gru, {**QUIET, "weight_std": 1.0}, **{"bias_mean": 0.0})
    at = parameters.with_values({"candidate.weight_std": a_h})
    a_r = gru_bifurcation(a_h)
    found = saddle_node(gru, at, "reset.weight_std", 0.7 * a_r, 1.2 * a_r)
    assert found.value == pytest.approx(a_r, rel=1e-9)
    back = saddle_node(
        gru, parameters.with_values({"reset.weight_std": a_r}), "candidate.weight_std", 1.5, 1.99
    )
    assert back.value == pytest.approx(a_h, rel=1e-9)


def test_gru_with_biases_and_inputs():
    """The number of solutions changes there, and nowhere near."""
    parameters = Parameters.of(
        gru, {"weight_std": 1.9, "input_std": 0.01, "input_variance": 1.0, "reset.bias_mean": -2.0}
    )
    counts = {
        a_r: len(fixed_points(gru, parameters.with_values({"reset.weight_std": a_r})))
        for a_r in (5.0, 40.0)
    }
    assert counts == {5.0: 1, 40.0: 3}
    found = saddle_node(gru, parameters, "reset.weight_std", 5.0, 40.0)
    for shift, count in ((-1e-6, 1), (1e-6, 3)):
        at = parameters.with_values({"reset.weight_std": found.value * (1 + shift)})
        points = fixed_points(gru, at)
        assert len(points) == count
    pair = [point.moments[2] for point in points]
    assert min(abs(math.log(moment / found.moment)) for moment in pair) < 0.01


def test_where_there_is_none():
    with pytest.raises(ParameterError, match="differ by two"):
        saddle_node(vanilla, Parameters.of(vanilla), "weight_std", 0.5, 2.0)
    with pytest.raises(HypothesisError, match="unknown moments"):
        saddle_node(
            lstm_peephole, Parameters.of(lstm_peephole, input_std=0), "forget.weight_std", 0.1, 0.2
        )
