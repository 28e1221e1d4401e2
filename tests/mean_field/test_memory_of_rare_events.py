"""A memory that hangs on events which no population of sites meets."""

import math

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, Preactivation
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.mean_field import untied_state
from rmt_jacobian.mean_field.populations.site_models import Drives, more_points
from rmt_jacobian.mean_field.populations.sites import PopulationSites

s, e1, e2, x = sp.symbols("s e1 e2 x", real=True)
BUMP = Cell(
    "bump",
    states=(s,),
    input=x,
    preactivations=(Preactivation("drive", e1, s), Preactivation("read", e2, sp.tanh(s))),
    updates=(3 * s / 5 + 2 * sp.exp(-(e1**2) / 2) / 5,),
)
"""The memory is written where the drive, of mean 8, comes near 0."""


def at(mean: float) -> Parameters:
    drive = {"drive.weight_std": 0.1, "drive.input_std": 1.3, "drive.bias_mean": mean}
    read = {"read.weight_std": 1.0, "read.input_std": 0.0}
    return Parameters.of(BUMP, drive | read | {"input_variance": 1})


def square(mean: float) -> float:
    """E[s^2] where what the state adds to the drive is nothing: E[exp(-e^2 k/2)] in closed form."""
    first, second = (
        math.exp(-k * mean**2 / (2 * (1 + k * 1.69))) / math.sqrt(1 + k * 1.69) for k in (1, 2)
    )
    return (0.16 * second + 2 * 0.24 * first * first) / (1 - 0.36)


def test_it_is_not_0_and_not_said_to_be_known_well() -> None:
    with pytest.raises(ConvergenceError, match=r"the error is 0\.2 where 0\.01 is wanted"):
        untied_state(BUMP, at(8.0))
    found = untied_state(BUMP, at(8.0), tolerance=0.5)
    read = found.preactivation_variances[1]
    # tanh(s)^2 / s^2 is between 0.95 and 1 for s <= 2/5, what one event writes
    assert 0.9 * square(8.0) < read < 1.1 * square(8.0)


def test_where_sites_meet_the_events_it_is_known() -> None:
    found = untied_state(BUMP, at(2.0))
    assert 0.8 * square(2.0) < found.preactivation_variances[1] < square(2.0)


def test_a_start_from_which_memory_grows_is_left_for_a_smaller_one() -> None:
    """s' = s e / 2 + cos(e) / 5 has no second moment where the variance of e is above 4."""
    cell = Cell(
        "turning", (s,), x, (Preactivation("g", e1, s * sp.tanh(s)),),
        (s * e1 / 2 + sp.cos(e1) / 5,),
    )  # fmt: skip
    point = {"weight_std": 3, "input_std": 0.3, "input_variance": 1}
    found = untied_state(cell, Parameters.of(cell, point))
    assert 0 < found.source_squares[0] < 0.01


@pytest.mark.parametrize("q", [1.8, 2.4, 3.2])
def test_moments_that_are_infinite_correct_nothing(q: float) -> None:
    """E a^4 = 3 q^2 / 16 and E a^6 = 15 q^3 / 64 are at least 1 from q = 2.3 and 1.6 on."""
    cell = Cell(
        "heavy", (s,), x, (Preactivation("g", e1, sp.tanh(s)),), (s * e1 / 2 + sp.cos(e1) / 5,)
    )
    model = PopulationSites(
        cell, Parameters.of(cell, {"weight_std": 1, "input_std": 1, "input_variance": 1}), seed=0
    )
    ours = model.squares(Drives((q,)))[:, 0]
    rng, states, found = np.random.default_rng(0), np.zeros(2**16), []
    for step in range(260):
        drive = math.sqrt(q) * rng.standard_normal(states.shape)
        states = states * drive / 2 + np.cos(drive) / 5
        if step >= 60:
            found.append(np.mean(np.tanh(states) ** 2))
    error = math.hypot(np.std(ours) / math.sqrt(7), 1e-2 * np.mean(found))
    assert abs(np.mean(ours) - np.mean(found)) < 4 * error
    assert error < 0.1 * np.mean(found)


def test_what_takes_minutes_is_for_those_who_name_a_tolerance() -> None:
    model = PopulationSites(BUMP, at(2.0), count=4096, seed=0)
    asked = {"reached": 0.1, "aim": 1e-3, "accepted": 1e-2, "steps": 500, "runs": 10}
    assert more_points(model, **asked) is None
    finer = more_points(model, **asked, patient=True)
    assert finer is not None
    assert finer.points == 16 * model.points
    assert more_points(model, **(asked | {"runs": 1})) is not None
