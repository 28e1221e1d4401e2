"""One step of a real network, and the action of its Jacobian on changes of the states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.cells import StepDerivatives
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling.weights.ensembles import WeightMatrix

__all__ = ["NetworkStep"]


@dataclass(frozen=True)
class NetworkStep:
    r"""One step of a network, with all that its Jacobian is made of.

    .. math::
        dE_k = W_k dY_k, \quad dY = Y_s dS + Y_e dE, \quad dS' = A dS + B dE

    Attributes
    ----------
    states, gates, x
        The states before the step, the preactivations and the input; each of shape (N,).
    weights
        One W for each preactivation, None for one that has no W.
    derivatives
        The diagonals A, B, Y_s, Y_e of the Jacobian at the sites.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import Parameters, lstm
    >>> from rmt_jacobian.sampling import run_network
    >>> rng = np.random.default_rng(0)
    >>> step = next(run_network(lstm, Parameters.of(lstm), width=8, steps=1, rng=rng))
    >>> v, u = rng.standard_normal((2, 2, 8))
    >>> forward, back = step.times(list(v)), step.adjoint(list(u))
    >>> bool(np.isclose(np.vdot(u, forward), np.vdot(back, v)))  # <u, J v> = <J^T u, v>
    True
    """

    states: tuple[Any, ...]
    gates: tuple[Any, ...]
    x: Any
    weights: tuple[WeightMatrix | None, ...]
    derivatives: StepDerivatives

    def times(self, blocks: Sequence[Any]) -> list[Any]:
        """Return J applied to changes of the states.

        Parameters
        ----------
        blocks
            One array of shape (N,) or (N, m) for each state.

        Returns
        -------
        list
            One array of the same shape for each state.

        Raises
        ------
        ParameterError
            If there is not one block for each state.
        """
        self._check(blocks)
        d = self.derivatives
        through_weights: list[Any] = []  # dE_k
        for k, W in enumerate(self.weights):
            source = _total(
                [_scaled(d.source_state, (k, s), block) for s, block in enumerate(blocks)]
                + [_scaled(d.source_gate, (k, j), through_weights[j]) for j in range(k)]
            )
            through_weights.append(None if W is None or source is None else W.apply(source))
        return [
            _total(
                [_scaled(d.state, (i, s), block) for s, block in enumerate(blocks)]
                + [_scaled(d.gate, (i, k), block) for k, block in enumerate(through_weights)],
                like=blocks[0],
            )
            for i in range(len(blocks))
        ]

    def adjoint(self, blocks: Sequence[Any]) -> list[Any]:
        """Return the transposed Jacobian, applied to one covector for each new state.

        This is one step of backpropagation.

        Parameters
        ----------
        blocks
            One array of shape (N,) or (N, m) for each state.

        Returns
        -------
        list
            One array of the same shape for each state before the step.

        Raises
        ------
        ParameterError
            If there is not one block for each state.
        """
        self._check(blocks)
        d = self.derivatives
        from_weights: list[Any] = [None] * len(self.weights)  # on dY_k; sources read earlier gates
        for k in reversed(range(len(self.weights))):
            W = self.weights[k]
            on_gate = _total(
                [_scaled(d.gate, (i, k), block) for i, block in enumerate(blocks)]
                + [_scaled(d.source_gate, (l, k), from_weights[l])
                   for l in range(k + 1, len(self.weights))]
            )  # fmt: skip
            if W is not None and on_gate is not None:
                from_weights[k] = W.apply_transposed(on_gate)
        return [
            _total(
                [_scaled(d.state, (i, s), block) for i, block in enumerate(blocks)]
                + [_scaled(d.source_state, (k, s), block) for k, block in enumerate(from_weights)],
                like=blocks[0],
            )
            for s in range(len(blocks))
        ]

    def _check(self, blocks: Sequence[Any]) -> None:
        if len(blocks) != len(self.states):
            raise ParameterError(
                f"a network of {len(self.states)} states needs one block for each, "
                f"not {len(blocks)}"
            )


def _scaled(table: Mapping[tuple[int, int], Any], key: tuple[int, int], block: Any) -> Any:
    """Return diag(entry) block; None stands for what vanishes identically."""
    diagonal = table.get(key)
    if diagonal is None or block is None:
        return None
    if getattr(diagonal, "ndim", 0) == 1:
        return (diagonal[:, None] if block.ndim == 2 else diagonal) * block
    return block if diagonal == 1 else diagonal * block  # 1 where a source is a state


def _total(terms: Sequence[Any], *, like: Any = None) -> Any:
    """Add what does not vanish; nothing at all is None, or zeros like an array."""
    present = [term for term in terms if term is not None]
    if not present:
        return None if like is None else 0 * like
    if len(present) == 1:
        return present[0]
    total = present[0] + present[1]
    for term in present[2:]:
        total += term
    return total
