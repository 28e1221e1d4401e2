"""Averages at many means of functions that turn many times within a standard deviation."""

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import Parameters, minimalrnn, relu
from rmt_jacobian.mean_field.averages.variable_averages import VariableAverages, VariableLaw

(e,) = minimalrnn.gates
MEANS = 2 * np.random.default_rng(0).standard_normal((1, 2000))
AVERAGES = VariableAverages(minimalrnn, Parameters.of(minimalrnn))


@pytest.mark.parametrize("std", [0.5, 2.0, 40.0])
def test_one_wave(std: float) -> None:
    found = AVERAGES.averages(e, VariableLaw(MEANS, std**2, 1.0), (sp.sin(e),))
    assert np.abs(found - np.sin(MEANS) * np.exp(-(std**2) / 2)).max() < 1e-11


@pytest.mark.parametrize("std", [0.5, 2.0, 40.0])
@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.5, 0.9999])
def test_two_waves(std: float, correlation: float) -> None:
    law = VariableLaw(MEANS, std**2, correlation)
    found = AVERAGES.averages(e, law, (sp.sin(e), sp.sin(e)))
    apart, along = (np.exp(-(std**2) * (1 + sign * correlation)) for sign in (-1, 1))
    expected = (apart - np.cos(2 * MEANS) * along) / 2
    assert np.abs(found - expected).max() < 1e-9


@pytest.mark.parametrize("correlation", [0.3, 1.0])
def test_a_constant_beside_a_function(correlation: float) -> None:
    law = VariableLaw(MEANS[:, :20], 4.0, correlation)
    for function in (sp.tanh(e), relu(e - 1)):
        one = AVERAGES.averages(e, law, (3 * function,))
        for sides in ((sp.Integer(3), function), (function, sp.Integer(3))):
            assert AVERAGES.averages(e, law, sides) == pytest.approx(one, rel=1e-14)
