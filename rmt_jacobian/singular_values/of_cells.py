"""The law of the singular values of a T-step product of any cell in its stationary state."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from rmt_jacobian.arrays import Device, Seed, namespace, spawn
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Point
from rmt_jacobian.counts import check_counts, check_numbers
from rmt_jacobian.derive import diagonal_valued_recursion
from rmt_jacobian.mean_field import LawAtRest, Network, SiteLaw, TiedLaw, law_of, untied_law_of
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.untied import WeightsChoice, untied_history, weight_ensembles
from rmt_jacobian.pencils.chain.history import SiteHistory, low_discrepancy_sites
from rmt_jacobian.pencils.chain.product_chain import ProductChain
from rmt_jacobian.pencils.ensembles import BiInvariant
from rmt_jacobian.singular_values.blocks import block_singular_value_law
from rmt_jacobian.singular_values.calibration import Calibration, calibrated
from rmt_jacobian.singular_values.law import FEW_SITES, SingularValueLaw
from rmt_jacobian.singular_values.shared import ALONE, shared_law_of
from rmt_jacobian.singular_values.window_sites import window_sites

__all__ = ["exact_moments", "singular_value_law"]

_FRESH, _SHARED = 1e-6, 1e-4  # tolerances of the tabulated cdf
_GENTLE = 0.1  # strength of a tilt beyond which rare sites are drawn on purpose
_UNRESOLVED = 10.0  # tolerances: mass of the bands of rare sites that are left as they are
_STILL = 1 << 12  # sites that no W spreads, beside rare ones that it does


@named_arguments
def singular_value_law(
    network: Network,
    parameters: Point = None,
    *,
    weights: WeightsChoice,
    steps: int,
    sites: int = 1024,
    seed: Seed = 0,
    squared: bool = False,
    tolerance: float | None = None,
    replicates: int = 2,
    progress: bool = False,
    device: Device | ModuleType = "cpu",
) -> SingularValueLaw:
    r"""Return the limiting law of the singular values of a T-step product of Jacobians.

    A law from ``stationary(..., dynamics="tied")`` or ``"at_rest"`` is that of a network whose
    W is the same at all T steps, as that of every network that is trained; other laws are those
    of fresh W at every step. Sites follow a randomised low-discrepancy sequence. For cells of
    one state and one preactivation their weights are tilted so that the first two moments of
    :math:`J J^T` are those of the exact diagonal-valued recursion. Where that takes more than a
    gentle tilt, the moments hang on rare sites, and as many of these are drawn on purpose, at
    their true shares. ``calibration`` of the law says how far the sites are off.

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
    sites
        How many sites stand for the site law; the error falls about like one over it, like its
        power 0.6 with shared weights.  Where no W spreads them there are 131,072 of them at least;
        where fresh W spread only a few of these, they and 4,096 of the others.
    seed
        Of the randomisation.
    squared
        Whether to return the law of the squares.
    tolerance
        Bound on the error of the tabulated cdf; 1e-6 by default, 1e-4 for networks that keep their
        weights, where the sites leave more open.
    replicates
        Independent draws of the sites for the error estimate, which is computed when asked for.
    progress
        Whether to show a progress bar while the table is made.
    device
        Where the sites are when the Dyson equation is solved: ``"cpu"`` or ``"gpu"``, or a
        namespace of the array API standard.  They are drawn on the host, so that one seed means the
        same sites everywhere, and the table stays there.

    Raises
    ------
    ParameterError
        If the weights are none, or there are too many steps to be solved with shared weights.

    Notes
    -----
    Assumes W bi-invariant, N -> infinity, the stationary state; untied weights, or one W at all
    steps.  With several states the total mass is that of all dN singular values.

    Examples
    --------
    >>> law = singular_value_law("vanilla", {"weight_std": 1.2}, weights="orthogonal", steps=2,
    ...                          sites=128, squared=True)
    >>> bool(law.support()[1] > law.mean())
    True
    """
    check_counts(steps=steps, sites=sites)
    if tolerance is not None:
        check_numbers(tolerance=tolerance, above=0)
    if replicates != 0:
        check_counts(replicates=replicates)
    namespace(device)  # refuses a GPU that is not there before anything is solved
    stationary_law = law_of(network, parameters)
    title = f"{stationary_law.cell.name}, {steps} steps" if progress else None
    if isinstance(stationary_law, TiedLaw | LawAtRest):
        return shared_law_of(
            stationary_law, weights, steps, sites=sites, seed=seed, squared=squared,
            tolerance=tolerance or _SHARED, replicates=replicates, title=title, device=device,
        )  # fmt: skip
    rngs, tolerance = spawn(seed, 1 + replicates), tolerance or _FRESH
    state = untied_law_of(stationary_law, what="the law of a product of Jacobians").state
    parameters, law = state.parameters, state.site_law
    if law is None:
        histories = [untied_history(state, steps, count=sites, seed=rng) for rng in rngs]
        ensembles = weight_ensembles(parameters, histories[0].names, weights)
        grain = FEW_SITES / sites
        if sites < ALONE and BlockChain.of(histories[0], ensembles).deterministic:
            histories = [untied_history(state, steps, count=ALONE, seed=rng) for rng in rngs]
            chains = [BlockChain.of(history, ensembles) for history in histories]
            if not chains[0].deterministic:  # a few sites are spread by some W
                histories = [chain.sites.thinned(max(sites, _STILL)) for chain in chains]
            grain = FEW_SITES / ALONE
        return block_singular_value_law(
            histories[0],
            ensembles,
            squared=squared,
            tolerance=tolerance,
            replicates=histories[1:],
            device=device,
            grain=grain,
            progress=title,
        )
    ((name, _),) = parameters.groups
    random = weight_ensembles(parameters, (name,), weights)[name]
    sites = max(sites, ALONE) if random.variance == 0 else sites
    grain = FEW_SITES / sites
    draw = _Draw(law, steps, sites, random, device)
    exact = draw.exact_moments()
    if exact is None:
        chains = [draw.chain(low_discrepancy_sites, rng) for rng in rngs]
        return SingularValueLaw(chains[0], squared, tolerance, tuple(chains[1:]), title, grain)
    sites_of, found = low_discrepancy_sites, draw.calibrated(low_discrepancy_sites, rngs[0], exact)
    if found.strength > _GENTLE and law.preactivation_variance > 0:
        sites_of, found = window_sites, draw.calibrated(window_sites, rngs[0], exact)
    others = tuple(draw.calibrated(sites_of, rng, exact).chain for rng in rngs[1:])
    # Rare sites far out have bands of their own, each of less mass than it is worth to resolve.
    teeth = _UNRESOLVED * tolerance if sites_of is window_sites else 0.0
    return SingularValueLaw(
        found.chain, squared, tolerance, others, title, grain, teeth, calibration=found
    )


@dataclass(frozen=True)
class _Draw:
    """Sites of the stationary law of a cell of one state, and what their moments should be."""

    law: SiteLaw
    steps: int
    sites: int
    random: BiInvariant
    device: Device | ModuleType

    def chain(self, sites_of: Callable[..., SiteHistory], rng: np.random.Generator) -> ProductChain:
        """Return the chain of drawn sites."""
        history = sites_of(self.law, self.steps, self.sites, rng)
        return ProductChain(history.on(self.device), self.random)

    def calibrated(
        self,
        sites_of: Callable[..., SiteHistory],
        rng: np.random.Generator,
        exact: tuple[float, float],
    ) -> Calibration:
        """Return the chain of drawn sites with tilted weights."""
        return calibrated(self.chain(sites_of, rng), *exact)

    def exact_moments(self) -> tuple[float, float] | None:
        """Return m_1 and m_2 of the recursion; None where it does not hold or leaves the range."""
        variance = self.law.parameters.only.weight_std**2
        if not math.isclose(self.random.variance, variance, rel_tol=1e-12):
            return None  # an ensemble of another scale: the site law is not that of its network
        exact = exact_moments(self.law, self.steps, self.random.s_1)
        return exact if min(exact) > 0 and math.isfinite(max(exact)) else None


def exact_moments(law: SiteLaw, steps: int, s_1: float) -> tuple[float, float]:
    """Return m_1 and m_2 of J J^T from the diagonal-valued recursion, for any ensemble.

    The recursion is affine in s_1, which is 0 for orthogonal and -1 for Gaussian W.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> from rmt_jacobian.mean_field import untied_state
    >>> law = untied_state(minimalrnn, Parameters.of(minimalrnn)).site_law
    >>> [round(m, 4) for m in exact_moments(law, steps=5, s_1=-1.0)]
    [0.9939, 20.1812]
    """
    recursion = diagonal_valued_recursion(law.cell)
    orthogonal = recursion.evaluate(law, weights="orthogonal", steps=steps)
    gaussian = recursion.evaluate(law, weights="gaussian", steps=steps)
    return law.chi1**steps, orthogonal - s_1 * (gaussian - orthogonal)
