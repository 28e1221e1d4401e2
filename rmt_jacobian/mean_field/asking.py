"""How the stationary law of a site is asked for, by a user and by every other module.

One question, three kinds of dynamics: weights that are drawn anew at every step, weights that are
kept in time, and networks at rest.  Which equations give the law is decided by the cell.
"""

from dataclasses import replace
from typing import Literal, TypeAlias, get_args, overload

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import BiasKind, Cell, Parameters, Point, cell_and_parameters
from rmt_jacobian.counts import check_counts, check_numbers, check_seed
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.mean_field.at_rest.fixed_points import fixed_points
from rmt_jacobian.mean_field.stationary_law import Dynamics, StationaryLaw
from rmt_jacobian.mean_field.tied.law import LawAtRest, TiedLaw
from rmt_jacobian.mean_field.tied.steady_state import tied_steady_state
from rmt_jacobian.mean_field.untied.law import UntiedLaw
from rmt_jacobian.mean_field.untied.state import untied_state

__all__ = ["Network", "law_of", "stationary", "untied_law_of"]

_TIED = 8_192  # sites of a law of tied networks

Network: TypeAlias = StationaryLaw | Cell | str
"""Whose law is asked for: one that is known, or a cell, by itself or by its name."""


@overload
def stationary(
    cell: Cell | str, parameters: Point = None, *, dynamics: Literal["untied"] = "untied",
    biases: BiasKind | None = None, tolerance: float | None = None,
    start_variance: float | None = None, sites: int | None = None, seed: int = 0,
    progress: bool = False,
) -> UntiedLaw: ...  # fmt: skip
@overload
def stationary(
    cell: Cell | str, parameters: Point = None, *, dynamics: Literal["tied"],
    biases: BiasKind | None = None, tolerance: float | None = None,
    start_variance: float | None = None, sites: int | None = None, seed: int = 0,
    progress: bool = False,
) -> TiedLaw: ...  # fmt: skip
@overload
def stationary(
    cell: Cell | str, parameters: Point = None, *, dynamics: Literal["at_rest"],
    biases: BiasKind | None = None, tolerance: float | None = None,
    start_variance: float | None = None, sites: int | None = None, seed: int = 0,
    progress: bool = False,
) -> LawAtRest: ...  # fmt: skip
@named_arguments
def stationary(
    cell: Cell | str,
    parameters: Point = None,
    *,
    dynamics: Dynamics = "untied",
    biases: BiasKind | None = None,
    tolerance: float | None = None,
    start_variance: float | None = None,
    sites: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> StationaryLaw:
    """Return the stationary law of a site.

    Parameters
    ----------
    cell
        Any cell, or the name of one that comes with the package.
    parameters
        Its hyperparameters, or some of them by name; the rest are the cell's typical ones.
    dynamics
        ``"untied"``: W and V are drawn anew at every step; ``"tied"``: they are kept, as those of a
        network that is trained; ``"at_rest"``: kept, with inputs that are constant, at a fixed
        point, which is the one of the largest variance (``law.points`` has all).
    biases
        ``"frozen"`` or ``"redrawn"`` at every step; by default what the parameters say.  Networks
        that keep their weights keep their biases.
    tolerance
        The largest relative error of a variance: met, or refused.
    start_variance
        Of the states at the start, which selects the law where there are several; not at rest.
    sites, seed
        How many sites stand for a law that is no closed form (16,384, or 8,192 of tied networks,
        by default, a multiple of 16 for these), and what is random.
    progress
        Whether to show a progress bar where it takes more than two seconds.

    Raises
    ------
    ConvergenceError
        If none is found, or the tolerance is not met.
    InfeasibleError
        If states grow for ever.
    HypothesisError
        If biases are redrawn while weights are kept, or there is no fixed point to be found.

    Examples
    --------
    >>> law = stationary("minimalrnn", {"weight_std": 3, "input_variance": 0.5})
    >>> law
    <untied minimalrnn: q update 3.28>
    >>> round(law.growth_rate, 4), round(law.timescale, 2)
    (0.5527, 1.69)
    >>> law.exact[:4]
    ('variances', 'state_squares', 'source_squares', 'growth_rate')
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    if dynamics not in get_args(Dynamics):
        raise ParameterError(f"dynamics must be 'untied', 'tied' or 'at_rest', not {dynamics!r}")
    if tolerance is not None:
        check_numbers(tolerance=tolerance, above=0)
    if start_variance is not None:
        check_numbers(start_variance=start_variance)
    check_seed(seed, whole=True)
    if sites is not None:
        check_counts(sites=sites)
    if biases is not None:
        parameters = _with_biases(parameters, biases, dynamics)
    if dynamics == "untied":
        options = {"count": sites, "seed": seed or None, "start_variance": start_variance,
                   "tolerance": tolerance}  # fmt: skip
        # One point is known by what differs from the defaults, whoever asks.
        given = {name: value for name, value in options.items() if value is not None}
        return UntiedLaw(untied_state(cell, parameters, **given))
    if dynamics == "tied":
        steady = tied_steady_state(
            cell, parameters, sites=sites or _TIED, seed=seed, progress=progress,
            start_variance=1.0 if start_variance is None else start_variance,
            tolerance=None if tolerance is None else tolerance / 2,  # of standard errors
        )  # fmt: skip
        steady.require_converged()
        return TiedLaw(steady)
    if start_variance is not None:
        raise ParameterError(
            "a fixed point is not selected by start_variance: take one of law.points"
        )
    points = fixed_points(cell, parameters)
    if tolerance is not None and points[-1].error > tolerance:
        raise ConvergenceError(
            f"the fixed point is known to {points[-1].error:.2g}: ask for a larger tolerance"
        )
    return LawAtRest(points[-1], points)


def _with_biases(parameters: Parameters, biases: BiasKind, dynamics: Dynamics) -> Parameters:
    if biases not in get_args(BiasKind):
        raise ParameterError(f"biases must be 'frozen' or 'redrawn', not {biases!r}")
    if biases == "redrawn" and dynamics != "untied":
        raise HypothesisError(
            "a network that keeps its weights keeps its biases: leave out biases='redrawn'"
        )
    return replace(parameters, bias_kind=biases)


def law_of(network: Network, parameters: Point = None) -> StationaryLaw:
    """Return a law as it is, or that of an untied network of a cell.

    Raises
    ------
    ParameterError
        If hyperparameters are given beside a law, which has its own.
    """
    if not isinstance(network, StationaryLaw):
        return stationary(network, parameters)
    if parameters is not None:
        raise ParameterError(
            "the law has its own parameters: give the law alone, or a cell and parameters"
        )
    return network


def untied_law_of(network: Network, parameters: Point = None, *, what: str) -> UntiedLaw:
    """Return the same, for what is known of untied networks alone.

    Raises
    ------
    HypothesisError
        If the law is that of a network that keeps its weights.
    """
    law = law_of(network, parameters)
    if not isinstance(law, UntiedLaw):
        raise HypothesisError(
            f"{what} is known for untied weights: take stationary(..., dynamics='untied'), "
            f"not {law.dynamics!r}, or sample networks that keep their weights, as "
            "sample_singular_values(..., tied=True) and sample_lyapunov(..., tied=True) do"
        )
    return law
