"""How the law of the eigenvalues of one step is asked for."""

from collections.abc import Mapping
from types import ModuleType

from rmt_jacobian.arrays import Device, Seed
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Point
from rmt_jacobian.counts import check_counts
from rmt_jacobian.eigenvalues.law import EigenvalueLaw
from rmt_jacobian.eigenvalues.sites import site_problem
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import Network, Sites, law_of
from rmt_jacobian.pencils.ensembles import BiInvariant

__all__ = ["eigenvalue_law"]


@named_arguments
def eigenvalue_law(
    network: Sites | Network,
    parameters: Point = None,
    *,
    weights: str | BiInvariant | Mapping[str, str | BiInvariant] = "gaussian",
    sites: int | None = None,
    seed: Seed = 0,
    grain: int = 8,
    device: Device | ModuleType | None = None,
) -> EigenvalueLaw:
    r"""Return the law of the eigenvalues of the Jacobian of one step.

    Parameters
    ----------
    network, parameters
        A stationary law, from :func:`.stationary`; or any cell, by itself or by name, and its
        hyperparameters; or sites that stand for the law, drawn or nodes of a quadrature.
    weights
        ``"gaussian"``, ``"orthogonal"`` or an ensemble that states its own scale; or one of them
        for each preactivation by name.
    sites, seed
        How many sites stand for a law, by default 4096, or all of a tied one, and what they are
        drawn from.  4096 give the boundary of gated cells to a few thousandths.
    grain
        Least number of sites in a component of the support that :meth:`EigenvalueLaw.boundary`
        returns.
    device
        Where the sites are moved to first: ``"cpu"`` or ``"gpu"``, or a namespace of the array API
        standard; by default they stay where they are.  Sums over sites run there.

    Notes
    -----
    Assumes W bi-invariant and free from the diagonals of the Jacobian.  With tied weights that is
    what the dynamical mean field assumes of a state that the network has run to.

    Raises
    ------
    ParameterError
        If a name of an ensemble or of a preactivation is unknown.

    References
    ----------
    :cite:t:`Can2020` for the support of GRU and LSTM with Gaussian weights; the rest is ours.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> x = np.zeros(1)  # at its fixed point 0 the Jacobian is W itself
    >>> sites = Sites.of(vanilla, Parameters.of(vanilla, weight_std=0.5, input_std=0,
    ...                                         input_variance=1), [x], [x])
    >>> law = eigenvalue_law(sites)
    >>> round(law.spectral_radius, 12), round(float(law.density(0.2 + 0.1j)) * np.pi, 9)
    (0.5, 4.0)
    >>> eigenvalue_law("vanilla", {"weight_std": 2.0}).spectral_radius < 2
    True
    """
    if isinstance(network, Sites):
        if parameters is not None:
            raise ParameterError("sites have their own parameters: give the sites alone")
        points = network
    else:
        if sites is not None:
            check_counts(sites=sites)
        points = law_of(network, parameters).sites(sites, seed)
    points = points if device is None else points.on(device)
    named = weights if isinstance(weights, str) else "given"
    title = f"{points.cell.name}, {named} W,"
    return EigenvalueLaw(site_problem(points, weights), grain, title)
