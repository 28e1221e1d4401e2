"""What Newton's method, continuation, tables and laws need to know of a chain."""

from typing import Any, ClassVar, Protocol

from rmt_jacobian.pencils.chain.product_chain import Responses

__all__ = ["BalancedChain", "Chain"]


class Chain(Protocol):
    """The Dyson equation of a product of Jacobians at given sites.

    A chain has blocks; arrays with one entry for each have shape (points, blocks).
    After a step of ``easy`` sweeps of Newton's method or fewer a longer one is taken, and
    self-energies are interpolated as they are if ``straight``, else by their logarithms.
    :class:`.ProductChain` is the one of a cell with one state and one preactivation,
    :class:`.BlockChain` that of any cell, :class:`.SharedChain` that of weights which all steps
    share.
    """

    easy: ClassVar[int]
    straight: ClassVar[bool]

    @property
    def namespace(self) -> Any:
        """The array namespace of the sites."""
        ...

    @property
    def sites(self) -> Any:
        """The diagonals of all steps at the sites."""
        ...

    @property
    def steps(self) -> int:
        """T."""
        ...

    @property
    def size(self) -> int:
        """How many numbers a point has: T, or T^2 of shared weights, times the number of sites."""
        ...

    @property
    def blocks(self) -> int:
        """The number of self-energies."""
        ...

    @property
    def lost(self) -> float:
        """The share of singular values that are 0."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether no random matrix is left."""
        ...

    @property
    def reach(self) -> float:
        """A bound on the singular values."""
        ...

    def leading(self, s: Any) -> Any:
        """Return the self-energies to leading order in 1/s."""
        ...

    def averages(self, s: Any, sigma: Any) -> Any:
        """Return g of every block."""
        ...

    def cauchy(self, s: Any, sigma: Any, averages: Any) -> Any:
        """Return G(s) of the symmetrised singular values, shape (points,)."""
        ...

    def responses(self, s: Any, sigma: Any) -> Responses:
        """Return the averages with their derivatives."""
        ...

    def potential(self, s: Any, sigma: Any, g: Any) -> Any:
        """Return the logarithmic potential, shape (points,)."""
        ...


class BalancedChain(Chain, Protocol):
    """A chain whose self-energies are numbers, so that they can be weighed against averages."""

    def self_energies(self, sigma: Any, g: Any) -> Any:
        """Return the self-energies that the averages give back."""
        ...

    @property
    def partners(self) -> tuple[int, ...]:
        """The block that W couples to each."""
        ...

    def coupled(self, sigma: Any, g: Any) -> Any:
        """Return u of the W of every block, the mean of its two expressions."""
        ...

    def mapped(self, method: str, *values: Any) -> Any:
        """Apply a method of the ensemble of every block to arrays of shape (points, blocks)."""
        ...
