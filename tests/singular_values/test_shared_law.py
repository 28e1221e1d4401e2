"""Laws of the singular values of networks that keep their weights."""

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils import BlockChain, chain_moments

POINT = {"weight_std": 5, "input_std": 2, "input_variance": 0.46, "bias_mean": 2}


@pytest.fixture(scope="module")
def kept() -> rj.mean_field.TiedLaw:
    return rj.stationary("minimalrnn", POINT, dynamics="tied", sites=4096)


def test_the_law_is_that_of_sampled_networks_and_not_that_of_fresh_weights(kept) -> None:
    law = rj.singular_value_law(kept, weights="gaussian", steps=4, sites=512, replicates=1)
    asked = {"weights": "gaussian", "steps": 4, "width": 400, "samples": 3, "tied": True}
    values = np.sort(rj.sample_singular_values("minimalrnn", POINT, seed=1, **asked).ravel())
    steps = np.arange(1, values.size + 1) / values.size
    distance = np.max(np.abs(law.cdf(values) - steps))
    assert distance < 1.63 / np.sqrt(values.size) + law.error_estimate
    assert law.atoms() == ()
    np.testing.assert_allclose(law.cdf(law.ppf([0.1, 0.5, 0.9])), [0.1, 0.5, 0.9], atol=1e-9)
    squares = law.squares()
    assert abs(squares.expect(lambda x: x) / squares.moment(1) - 1) < 1e-3
    fresh = BlockChain(law.chain.sites, law.chain.ensembles)  # on the very same sites
    assert chain_moments(fresh, 1)[1] > 1.08 * squares.moment(1)


def test_the_moments_are_those_of_the_growth_of_changes(kept) -> None:
    found = rj.moments(kept, weights="orthogonal", steps=6, sites=2**13)
    growth = kept.growth(6)
    scatter = growth.samples[:, 6].std(ddof=1) / np.sqrt(len(growth.samples))
    error = np.hypot(found.mean_error, 2.4 * scatter)
    assert abs(found.mean - growth.mean_squares[6]) < 2 * error
    assert error < 0.06 * found.mean
    assert found.second_moment > found.mean**2


def test_a_network_that_stands_still_is_drawn_anew() -> None:
    point = {"input_std": 0, "input_variance": 0, "bias_std": 0.5, "weight_std": 1}
    still = rj.stationary("gru", point, dynamics="tied", sites=1024)
    one, other = (still.history(2, count=2048, seed=seed)[0] for seed in (1, 2))
    assert one.count == 2048
    assert not np.array_equal(one.gates[0], other.gates[0])
    np.testing.assert_allclose(one.next_states[0], one.states[0], atol=1e-9)
    assert abs(np.mean(one.states[0] ** 2) / still.state_squares["h"] - 1) < 0.02
    assert rj.moments(still, weights="gaussian", steps=2).mean_error > 0


def test_without_weights_the_law_is_that_of_the_sites() -> None:
    alone = rj.stationary("minimalrnn", {"weight_std": 0}, dynamics="tied", sites=1024)
    law = rj.singular_value_law(alone, weights="gaussian", steps=3, sites=1024, replicates=0)
    path = alone.history(3, count=4096, seed=5)
    kept = np.prod([np.asarray(sites.derivatives.state[0, 0]) for sites in path], axis=0)
    assert abs(law.squares().moment(1) / np.mean(kept**2) - 1) < 0.05


def test_the_law_of_a_network_at_rest_is_that_of_one_jacobian_many_times() -> None:
    rest = rj.stationary("vanilla", {"weight_std": 0.7, "input_std": 0}, dynamics="at_rest")
    law = rj.singular_value_law(rest, weights="gaussian", steps=2, sites=64, replicates=0)
    # h = 0: J = 0.7 W, and J^2 has the squared singular values of a product of two matrices.
    assert abs(law.squares().moment(1) - 0.7**4) < 1e-12
    assert abs(law.support()[1] - 0.49 * np.sqrt(27 / 4)) < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "gaussian", "steps": 200}, "self-energies"),
        ({"weights": rj.pencils.GaussianWeights(1.0), "steps": 2}, "scale of its own"),
        ({"weights": "gaussian", "steps": 2, "sites": 3}, "too few: ask for at least 12"),
    ],
)
def test_what_is_refused(kept, options, message) -> None:
    with pytest.raises(ParameterError, match=message):
        rj.singular_value_law(kept, **{"sites": 64, **options})
