"""The form in which the Dyson equation of a chain is solved."""

from typing import Any

import numpy as np
import pytest

from rmt_jacobian.pencils import GaussianWeights, OrthogonalWeights, TransformWeights, solve_chain
from rmt_jacobian.pencils.chain.balance import Balance
from tests.pencils.chains import below_axis, differences_are_derivatives, gated
from tests.pencils.examples import ENSEMBLES

named = pytest.mark.parametrize("name", ENSEMBLES)


@named
def test_the_derivatives_of_the_balance(name: str, xp: Any) -> None:
    chain = gated(name, 3, xp=xp)
    # Of all u the averages give, those of weak self-energies are in the domain of any ensemble.
    s, sigma = np.array([0.9 + 0.6j, 3.3 + 0.15j]), 0.1 * below_axis(2, 6)
    differences_are_derivatives(chain, xp.asarray(s), xp.asarray(sigma))


@named
def test_solutions_are_balanced(name: str) -> None:
    chain, s = gated(name, 2), np.array([0.4 + 0.1j, 1.5 + 0j, 9.0 + 0j])
    found = solve_chain(chain, s)
    balance = Balance.of(chain, found.sigma, found.averages)
    image = chain.self_energies(found.sigma, found.averages)
    assert np.allclose(image, found.sigma, rtol=1e-9)
    assert np.allclose(balance.asked * found.averages, 1.0, rtol=1e-9)
    assert np.allclose(balance.gap(found.averages), 0.0, atol=1e-9)


def test_blocks_without_a_partner_stay_as_they_are() -> None:
    chain = gated("gaussian", 1)
    sigma, averages = np.array([[0j, -1j]]), np.array([[-2j, 0j]])
    balance = Balance.of(chain, sigma, averages)
    assert balance.gap(averages)[0, 1] == 0
    assert balance.ratio(averages)[0, 1] == 1
    for slope in balance.slopes(chain.responses(np.array([2j]), sigma)):
        assert np.array_equal(slope[0, 1], [1.0, 0.0])


@pytest.mark.parametrize(
    "ensemble",
    [
        GaussianWeights(1.3),
        OrthogonalWeights(0.8),
        TransformWeights(lambda u: 1 / (1 + u) ** 2),
        TransformWeights(lambda u: 0.5 + 0 * u),
    ],
)
def test_the_coupling_undoes_the_product(ensemble: Any) -> None:
    u = np.array([-0.4 + 0.1j, 0.3 - 0.2j, -0.1 - 0.6j, 0j])
    near = u * (1.05 + 0.02j)
    assert np.allclose(ensemble.coupling(u * ensemble.gain(u), near), u, rtol=1e-10)


def test_a_coupling_that_is_not_found_is_no_number() -> None:
    ensemble = TransformWeights(lambda u: np.exp(u) / (1 + u))  # u gamma(u) = u exp(-u) <= 1/e
    assert np.isnan(ensemble.coupling(np.array([9.0 + 0j]), np.array([0.1 + 0j])))
