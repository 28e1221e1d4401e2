"""The law of the singular values of a T-step product, for any cell on given sites."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.arrays import Device
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.history import BlockHistory
from rmt_jacobian.pencils.chain.history import SiteHistory
from rmt_jacobian.pencils.chain.product_chain import ProductChain
from rmt_jacobian.pencils.chain.protocol import Chain
from rmt_jacobian.pencils.ensembles import BiInvariant
from rmt_jacobian.singular_values.law import SingularValueLaw

__all__ = ["block_singular_value_law"]

_UNRESOLVED_SHARE = 0.5  # of the grain: what is left unresolved of a comb


def block_singular_value_law(
    history: BlockHistory,
    ensembles: Sequence[BiInvariant] | Mapping[str, BiInvariant],
    *,
    squared: bool = False,
    tolerance: float = 1e-6,
    replicates: Sequence[BlockHistory] = (),
    grain: float = 0.0,
    progress: str | None = None,
    device: Device | ModuleType | None = None,
) -> SingularValueLaw:
    r"""Return the limiting law of the singular values of a T-step product, on given sites.

    Parameters
    ----------
    history
        The Jacobians of any cell over T steps, at weighted sites.
    ensembles
        The law of every W, in the order of ``history.names`` or by these names.
    squared
        Whether to return the law of the squares.
    tolerance
        Bound on the error of the tabulated cdf.
    replicates
        Other draws of the sites, for the error estimate.
    grain
        As in :class:`SingularValueLaw`: 0 if the sites are those of interest, a few of their shares
        if they stand for infinitely many.
    progress
        Title of a progress bar.
    device
        Where the sites are moved to first, as in :func:`singular_value_law`; by default they stay
        where they are.

    Notes
    -----
    Assumes fresh W at every step, bi-invariant and free from all diagonals; N -> infinity.  With
    several states the total mass is that of all dN singular values.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import compile_cell, gru
    >>> from rmt_jacobian.pencils import GaussianWeights
    >>> state, update, reset = (np.linspace(a, b, 9) for a, b in ((-1, 1), (2, -2), (-1, 2)))
    >>> step = compile_cell(gru).derivatives([state], [update, reset, 0 * state], 0 * state)
    >>> history = BlockHistory.of([step], gru)
    >>> law = block_singular_value_law(history, [GaussianWeights(1.0)] * 3, squared=True)
    >>> bool(0 < law.mean() < law.support()[1])
    True
    """
    if device is not None:
        history, replicates = history.on(device), [other.on(device) for other in replicates]
    chains = [_fastest(BlockChain.of(sites, ensembles)) for sites in (history, *replicates)]
    # One step with orthogonal W and several states is often a comb; its teeth are not worth it.
    teeth = _UNRESOLVED_SHARE * grain if isinstance(chains[0], BlockChain) else 0.0
    return SingularValueLaw(
        chains[0], squared, tolerance, tuple(chains[1:]), progress, grain, teeth
    )


def _fastest(chain: BlockChain) -> Chain:
    """Return the chain of one state and one preactivation where it is one: it costs less."""
    sites, xp = chain.sites, chain.namespace
    if (sites.states, sites.gates) != (1, 1):
        return chain
    sources = [step.source_state[0][0] for step in sites.diagonals]
    if any(np.ndim(source) > 0 or source != 1.0 for source in sources):
        return chain
    nothing = xp.zeros_like(sites.weights)

    def filled(entry: Any) -> Any:
        return nothing if entry is None else entry + nothing

    direct, gate = (
        xp.stack([filled(getattr(step, name)[0][0]) for step in sites.diagonals])
        for name in ("state", "gate")
    )
    return ProductChain(SiteHistory(direct, gate, sites.weights), chain.ensembles[0])
