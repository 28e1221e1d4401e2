"""The law of the singular values of a T-step product of a network that keeps its weights."""

from types import ModuleType

from rmt_jacobian.arrays import Device, Seed, spawn
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import LawAtRest, TiedLaw
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.history import BlockHistory
from rmt_jacobian.pencils.blocks.untied import WeightsChoice, own_ensembles
from rmt_jacobian.pencils.chain.protocol import Chain
from rmt_jacobian.pencils.shared.chain import SharedChain
from rmt_jacobian.singular_values.law import FEW_SITES, SingularValueLaw

__all__ = ["ALONE", "check_size", "shared_chain_of", "shared_law_of"]

ALONE = 1 << 17  # sites that no W spreads, which cost little: at least so many
_MOST = 6_000  # self-energies, whose equation has as many unknowns


def shared_chain_of(
    law: TiedLaw | LawAtRest, weights: WeightsChoice, steps: int, *, count: int, seed: Seed
) -> SharedChain:
    """Return the chain of T steps of the network on drawn paths of sites.

    Parameters
    ----------
    law
        The stationary law.
    weights
        As in :func:`singular_value_law`.
    steps
        T.
    count, seed
        How many paths, and what they are drawn from.

    Raises
    ------
    ParameterError
        If an ensemble is missing or states another scale, or the equation would be too large.
    """
    path = law.history(steps, count=count, seed=seed)
    history = BlockHistory.of([sites.derivatives for sites in path], law.cell, path[0].weights)
    ensembles = own_ensembles(law.parameters, history.names, weights)
    chain = SharedChain.of(history, ensembles)
    check_size(steps, chain.gates)
    return chain


def check_size(steps: int, gates: int) -> None:
    """Refuse an equation that is too large: T (T + 1) self-energies for every W."""
    blocks = gates * steps * (steps + 1)
    if blocks > _MOST:
        raise ParameterError(
            f"{steps} steps with {gates} W shared by all of them have {blocks} self-energies, of "
            f"which {_MOST} can be solved for: take fewer steps; the growth of gradients, "
            "law.growth(steps), is known for many more"
        )


def shared_law_of(
    law: TiedLaw | LawAtRest,
    weights: WeightsChoice,
    steps: int,
    *,
    sites: int,
    seed: Seed,
    squared: bool,
    tolerance: float,
    replicates: int,
    title: str | None,
    device: Device | ModuleType,
) -> SingularValueLaw:
    """Return the law of the singular values; arguments as in :func:`singular_value_law`."""

    def drawn(count: int) -> list[SharedChain]:
        rngs = spawn(seed, 1 + replicates)
        found = (shared_chain_of(law, weights, steps, count=count, seed=rng) for rng in rngs)
        return [chain.on(device) for chain in found]

    chains: list[Chain] = [*drawn(sites)]
    if steps == 1:  # a W that stands at one place is shared with nothing
        chains = [BlockChain(chain.sites, chain.ensembles) for chain in drawn(sites)]
    if chains[0].deterministic:  # where no W is left nothing is shared, and sites cost little
        sites = max(sites, ALONE)
        chains = [BlockChain(chain.sites, ()) for chain in drawn(sites)]
    return SingularValueLaw(
        chains[0], squared, tolerance, tuple(chains[1:]), title, FEW_SITES / sites
    )
