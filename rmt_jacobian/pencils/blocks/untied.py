"""The chain of a T-step product of any cell in its untied stationary state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from threadpoolctl import threadpool_limits

from rmt_jacobian.arrays import Seed
from rmt_jacobian.cells import Parameters
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field import UntiedState
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.chain_moments import chain_moments
from rmt_jacobian.pencils.blocks.history import BlockHistory
from rmt_jacobian.pencils.ensembles import BiInvariant, ensemble

__all__ = [
    "ProductMoments",
    "WeightsChoice",
    "own_ensembles",
    "product_moments_of",
    "untied_history",
    "weight_ensembles",
]

_RELATIVE = 1e-9  # what a scale may be off by rounding

WeightsChoice: TypeAlias = str | BiInvariant | Mapping[str, str | BiInvariant]


def weight_ensembles(
    parameters: Parameters, names: tuple[str, ...], weights: WeightsChoice
) -> dict[str, BiInvariant]:
    """Return the ensemble of the W of every named preactivation, at the scale of its group.

    Parameters
    ----------
    parameters
        Where the scales come from, for ensembles that are given by name.
    names
        The preactivations.
    weights
        One ensemble for all, or one for each by the name of its preactivation.

    Raises
    ------
    ParameterError
        If an ensemble is unknown, or one is missing.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> weight_ensembles(Parameters.of(gru), ("update",), "orthogonal")
    {'update': OrthogonalWeights(weight_std=3.0)}
    """
    if isinstance(weights, Mapping):
        if missing := [name for name in names if name not in weights]:
            raise ParameterError(f"weights are missing for {', '.join(missing)}: name one for each")
        return {name: ensemble(weights[name], parameters[name].weight_std) for name in names}
    return {name: ensemble(weights, parameters[name].weight_std) for name in names}


def own_ensembles(
    parameters: Parameters, names: tuple[str, ...], weights: WeightsChoice
) -> dict[str, BiInvariant]:
    """Return the same where the law of the sites is that of these weights.

    Raises
    ------
    ParameterError
        If an ensemble is missing, or states another scale than its group.
    """
    found = weight_ensembles(parameters, names, weights)
    for name, each in found.items():
        own = parameters[name].weight_std ** 2
        if abs(each.variance - own) > _RELATIVE * own:
            raise ParameterError(
                f"the W of {name} states a scale of its own, {each.variance**0.5:g}: give it as "
                f"{name}.weight_std, so that the states are those of these weights"
            )
    return found


def untied_history(
    state: UntiedState, steps: int, *, count: int = 1024, seed: Seed = 0
) -> BlockHistory:
    """Return the diagonals of T successive Jacobians at low-discrepancy sites.

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm
    >>> from rmt_jacobian.mean_field import untied_state
    >>> history = untied_history(untied_state(lstm, Parameters.of(lstm, input_std=0)), 3, count=64)
    >>> history.steps, history.states, history.count
    (3, 2, 64)
    """
    sites = state.history(steps, count=count, seed=seed)
    return BlockHistory.of([each.derivatives for each in sites], state.cell, sites[0].weights)


@dataclass(frozen=True)
class ProductMoments:
    """Moments of the squared singular values of a T-step product, all dN of them.

    Attributes
    ----------
    steps
        T.
    mean, second_moment
        m_1 and m_2.
    mean_error, second_moment_error
        Half widths of 95 % intervals; 0 where they are exact, and nan where they are those of
        given sites.
    """

    steps: int
    mean: float
    second_moment: float
    mean_error: float = 0.0
    second_moment_error: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether both are known to rounding."""
        return self.mean_error == self.second_moment_error == 0

    @property
    def variance(self) -> float:
        """m_2 - m_1^2."""
        return self.second_moment - self.mean**2

    @property
    def relative_variance(self) -> float:
        """m_2 / m_1^2 - 1, which does not change if the Jacobian is multiplied by a number."""
        return self.second_moment / self.mean**2 - 1 if self.mean > 0 else float("inf")


def product_moments_of(
    state: UntiedState, weights: WeightsChoice, steps: int, *, count: int = 4096, seed: Seed = 0
) -> ProductMoments:
    r"""Return m_1 and m_2 of :math:`J J^T`, :math:`J = J_T \cdots J_1`, for any cell.

    Parameters
    ----------
    state
        The stationary state.
    weights
        The ensemble of the W, or one for each by the name of its preactivation.
    steps
        T.
    count, seed
        Of the low-discrepancy sites, on which the moments are exact.

    Notes
    -----
    Assumes fresh bi-invariant W at every step, free from the diagonals, and N -> infinity.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> from rmt_jacobian.mean_field import untied_state
    >>> silent = untied_state(gru, Parameters.of(gru, input_std=0))
    >>> # h = 0: J = 1/2 + W / 4 with std 3
    >>> found = product_moments_of(silent, "gaussian", 1, count=16)
    >>> round(found.mean, 12)  # 1/4 + 9/16
    0.8125
    """
    history = untied_history(state, steps, count=count, seed=seed)
    chain = BlockChain.of(history, weight_ensembles(state.parameters, history.names, weights))
    if chain.deterministic:
        raise HypothesisError(
            "with all weight_std = 0 the product is made of sites alone: take moments of their "
            "matrices, or give some weight_std"
        )
    with threadpool_limits(1):  # the arrays are small: threads would only wait for each other
        _, mean, second = chain_moments(chain, 2)
    return ProductMoments(steps, mean, second, float("nan"), float("nan"))
