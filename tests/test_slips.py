"""Ordinary slips in calls from Python: one clear error of ours that names the argument."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError

GRU, LSTM, MINIMAL = (rj.Parameters.of(cell) for cell in (rj.gru, rj.lstm, rj.minimalrnn))
GAUSSIAN = {"weights": "gaussian"}
SAMPLED = {**GAUSSIAN, "width": 8, "samples": 2}


@pytest.mark.parametrize(
    "call",
    [
        lambda: rj.singular_value_law(rj.gru, LSTM, steps=1, **GAUSSIAN),
        lambda: rj.singular_value_law(rj.lstm, MINIMAL, steps=2, **GAUSSIAN),
        lambda: rj.stationary(rj.minimalrnn, GRU),
        lambda: rj.stationary(rj.lstm, GRU),
        lambda: rj.moments(rj.gru, LSTM, steps=1, **GAUSSIAN),
        lambda: rj.lyapunov_law(rj.gru, LSTM, **GAUSSIAN),
        lambda: rj.eigenvalue_law(rj.gru, LSTM, **GAUSSIAN),
        lambda: rj.stationary(rj.gru, LSTM, dynamics="at_rest"),
        lambda: rj.stationary(rj.gru, LSTM, dynamics="tied"),
        lambda: rj.verify(rj.minimalrnn, GRU),
        lambda: rj.exact_variance(rj.minimalrnn).evaluate(GRU),
        lambda: rj.freeness_of_cell(rj.minimalrnn, GRU, steps=2, **SAMPLED),
        lambda: next(rj.run_network(rj.gru, LSTM, width=8, steps=2, rng=np.random.default_rng(0))),
        lambda: rj.sample_singular_values(rj.gru, LSTM, steps=1, **SAMPLED),
        lambda: rj.sample_eigenvalues(rj.gru, LSTM, **SAMPLED),
        lambda: rj.sample_moments(rj.gru, LSTM, steps=[1], **SAMPLED),
    ],
)
def test_parameters_of_another_cell(call: Callable[[], Any]) -> None:
    with pytest.raises(ParameterError, match=r"of another cell.*Parameters\.of\("):
        call()


@pytest.mark.parametrize("wrong", [2.5, 2.0, True, 0, -1, "2", None, np.array([1, 2])])
def test_what_is_no_count(wrong: Any) -> None:
    sampled = {**SAMPLED, "steps": 1}
    for name in ("steps", "width", "samples"):
        with pytest.raises(ParameterError, match=f"{name} must be a whole number above 0"):
            rj.sample_singular_values(rj.minimalrnn, MINIMAL, **{**sampled, name: wrong})
    with pytest.raises(ParameterError, match="steps must be a whole number above 0"):
        rj.singular_value_law(rj.minimalrnn, MINIMAL, steps=wrong, **GAUSSIAN)


def test_whole_numbers_of_numpy_are_counts() -> None:
    values = rj.sample_singular_values(
        rj.minimalrnn, MINIMAL, steps=np.int64(1), **{**SAMPLED, "width": np.int32(8)}
    )
    assert values.shape == (2, 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rj.Parameters.of(rj.gru, 3), "given by name"),
        (lambda: rj.Parameters.of(3), "first argument is a cell"),
        (lambda: GRU.with_values([("weight_std", 1)]), "given by name"),
        (lambda: rj.Parameters.of(rj.gru, {"update.weight_std": None}), "must be a number"),
        (lambda: rj.cell_named("gur"), "did you mean gru"),
        (lambda: rj.freeness_test([np.eye(3), np.eye(3)]), "square matrices"),
    ],
)
def test_other_slips(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


def test_what_would_take_minutes_is_refused_with_another_way() -> None:
    law = rj.singular_value_law(rj.minimalrnn, MINIMAL, steps=2, sites=64, **GAUSSIAN)
    with pytest.raises(ParameterError, match=r"beyond the order 64.*expect"):
        law.moment(1000)
    by_table = law.expect(lambda s: s**40)
    assert by_table == pytest.approx(law.moment(40), rel=1e-3)
