"""The first two moments of the squared singular values of T steps, by whatever is exact."""

import math

import numpy as np
from tqdm import tqdm

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Point
from rmt_jacobian.counts import check_counts, check_seed
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import (
    LawAtRest,
    Network,
    SiteLaw,
    TiedLaw,
    UntiedState,
    law_of,
    untied_law_of,
)
from rmt_jacobian.mean_field.replicated.solver import half_width
from rmt_jacobian.mean_field.untied.law import independent_states
from rmt_jacobian.pencils.blocks.chain_moments import chain_moments
from rmt_jacobian.pencils.blocks.untied import (
    ProductMoments,
    WeightsChoice,
    product_moments_of,
    weight_ensembles,
)
from rmt_jacobian.singular_values.of_cells import exact_moments
from rmt_jacobian.singular_values.shared import shared_chain_of

__all__ = ["moments"]

_SHARE = 4  # of the sites, that each of some eight populations has
_DRAWS, _FEWEST = 8, 64  # draws of paths, and of paths each, of networks that keep their weights


@named_arguments
def moments(
    network: Network,
    parameters: Point = None,
    *,
    weights: WeightsChoice,
    steps: int,
    sites: int = 4096,
    seed: Seed = 0,
    progress: bool = False,
) -> ProductMoments:
    r"""Return m_1 and m_2 of :math:`J J^T`, :math:`J = J_T \cdots J_1`, and their errors.

    Cells of one state and one preactivation have the exact diagonal-valued recursion; others are
    exact on drawn sites, and the scatter of several populations of these is the error.

    Parameters
    ----------
    network, parameters
        A stationary law, from :func:`.stationary`; or any cell, by itself or by name, and its
        hyperparameters.
    weights
        ``"gaussian"``, ``"orthogonal"``, or an ensemble that states its own scale; or one for each
        preactivation by name.
    steps
        T.
    sites, seed
        How many sites a law has; each of some eight populations has a quarter of them.  What they
        are drawn from.
    progress
        Whether to show a progress bar, from two seconds on.

    Raises
    ------
    ParameterError
        If an ensemble is missing, or the moments are beyond the range of numbers.

    Notes
    -----
    Assumes bi-invariant W and N -> infinity; fresh W at every step, or, where the law is that of a
    network that keeps its weights, one W at all of them.

    Examples
    --------
    >>> found = moments("minimalrnn", weights="gaussian", steps=5)
    >>> round(found.mean, 4), round(found.relative_variance, 4), found.is_exact
    (0.9939, 19.4291, True)
    """
    check_counts(steps=steps, sites=sites)
    check_seed(seed)
    law = law_of(network, parameters)
    if isinstance(law, TiedLaw | LawAtRest):
        return _shared(law, weights, steps, sites, seed, progress=progress)
    state = untied_law_of(law, what="the moments of a product of Jacobians").state
    known = _exact(state.site_law, state, weights, steps)
    if known is not None:
        return known
    states = independent_states(state)
    title = f"{state.cell.name}, moments of {steps} steps"
    bar = tqdm(states, title, unit="population", disable=not progress, delay=2, mininterval=0.5)
    found = [
        product_moments_of(each, weights, steps, count=max(sites // _SHARE, 2), seed=rng)
        for each, rng in zip(bar, spawn(seed, len(states)), strict=True)
    ]
    table = np.array([[each.mean, each.second_moment] for each in found])
    mean, second = map(float, table.mean(axis=0))
    return ProductMoments(steps, mean, second, *map(float, half_width(table)))


def _shared(
    law: TiedLaw | LawAtRest,
    weights: WeightsChoice,
    steps: int,
    sites: int,
    seed: Seed,
    *,
    progress: bool,
) -> ProductMoments:
    """Return the moments of a network that keeps its weights, over draws of the paths of sites."""
    title = f"{law.cell.name}, moments of {steps} steps"
    draws = tqdm(spawn(seed, _DRAWS), title, unit="draw", disable=not progress, delay=2)
    count = max(sites // _SHARE, _FEWEST)
    chains = (shared_chain_of(law, weights, steps, count=count, seed=rng) for rng in draws)
    table = np.array([chain_moments(chain, 2)[1:] for chain in chains])
    mean, second = map(float, table.mean(axis=0))
    return ProductMoments(steps, mean, second, *map(float, half_width(table)))


def _exact(
    law: SiteLaw | None, state: UntiedState, weights: WeightsChoice, steps: int
) -> ProductMoments | None:
    """Return the exact moments of a cell of one state and one preactivation."""
    if law is None:
        return None
    ((name, group),) = state.parameters.groups
    random = weight_ensembles(state.parameters, (name,), weights)[name]
    if not math.isclose(random.variance, group.weight_std**2):  # it states its own scale
        return None
    try:
        return ProductMoments(steps, *exact_moments(law, steps, random.s_1))
    except OverflowError as error:
        raise ParameterError(
            f"the moments over {steps} steps are beyond the range of numbers: take fewer steps, "
            "or law.growth_over(steps)"
        ) from error
