"""Eigenvalues of sampled networks, and networks at rest."""

from typing import Any

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, compile_cell, gru, lstm
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import untied_state
from rmt_jacobian.sampling import network_at_rest, sample_eigenvalues
from tests.in_turn import in_turn

DISKS = [(0.5, 0.0, 0.3), (0.0, 0.0, 0.5), (0.0, 0.0, 1.0)]


def fractions(values: np.ndarray) -> np.ndarray:
    return np.array(
        [[np.mean(np.abs(row - complex(x, y)) < r) for x, y, r in DISKS] for row in values]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "weights"),
    in_turn(
        [(lstm, {"input_std": 0.7, "forget.bias_mean": 1.0}), (gru, {"input_std": 1.0})],
        ["gaussian", "orthogonal"],
    ),
    ids=lambda value: value if isinstance(value, str) else value[0].name,
)
def test_untied_networks_follow_their_law(point: Any, weights: Any) -> None:
    cell, changed = point
    p = Parameters.of(cell).with_values(changed)
    law = eigenvalue_law(untied_state(cell, p).history(1, count=4096)[0], weights=weights)
    found = fractions(
        sample_eigenvalues(cell, p, weights=weights, dynamics="untied", width=300, samples=8)
    )
    error = found.std(axis=0, ddof=1) / np.sqrt(8)
    # Beside the standard error, O(1/N) of the sites' variances at this width.
    assert np.all(np.abs(found.mean(axis=0) - law.inside(DISKS)) < 4 * error + 2 / 300)


@pytest.mark.parametrize("cell", [gru, lstm])
def test_a_network_at_rest_does_not_move(cell: Any) -> None:
    p = Parameters.of(cell).with_values({"input_std": 0.5, "bias_std": 0.3})
    step = network_at_rest(cell, p, width=40, rng=np.random.default_rng(3))
    new = compile_cell(cell).update(step.states, step.gates, step.x)
    for before, after in zip(step.states, new, strict=True):
        assert after == pytest.approx(before, abs=1e-9)
    assert max(np.abs(state).max() for state in step.states) > 1e-3


def test_shapes_and_seeds() -> None:
    p = Parameters.of(lstm, input_std=0)
    options: dict[str, Any] = {"weights": "gaussian", "width": 6, "seed": 4}
    values = sample_eigenvalues(lstm, p, samples=3, **options)
    assert values.shape == (3, 12)
    again = sample_eigenvalues(lstm, p, samples=2, workers=1, **options)
    assert np.array_equal(values[:2], again)
    at_rest = sample_eigenvalues(lstm, p, samples=1, dynamics="fixed-point", **options)
    assert at_rest.shape == (1, 12)


def test_bad_arguments() -> None:
    p = Parameters.of(gru, input_std=0)
    with pytest.raises(ParameterError, match="dynamics"):
        sample_eigenvalues(gru, p, weights="gaussian", dynamics="quenched")  # pyright: ignore
    with pytest.raises(ParameterError, match="width"):
        sample_eigenvalues(gru, p, weights="gaussian", width=0)
    with pytest.raises(ParameterError, match="haar"):
        sample_eigenvalues(gru, p, weights="haar")  # pyright: ignore
