r"""The product of the Jacobians of a run, applied to vectors and never formed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling.networks.steps import NetworkStep
from rmt_jacobian.sampling.weights.ensembles import DenseMatrix
from rmt_jacobian.sampling.weights.householder import HouseholderMatrix

__all__ = ["JacobianProduct"]


@dataclass(frozen=True, eq=False)
class JacobianProduct:
    r"""The product :math:`J = J_T \cdots J_1` of a run, by its action on vectors.

    Attributes
    ----------
    steps
        The steps, with their diagonals and W, and without states and preactivations.
    like
        An array that tells namespace, device and type; of shape (0,).
    width, states
        N and d.

    Notes
    -----
    A vector has dN entries, those of the first state first.  Applying J costs a product with every
    W, O(T N log N) with fast ensembles and O(T N^2) with dense matrices.  Memory is that of the W
    and of the diagonals.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.sampling import run_network
    >>> run = run_network(vanilla, Parameters.of(vanilla), width=8, steps=3,
    ...                   rng=np.random.default_rng(0))
    >>> product = JacobianProduct.of(run)
    >>> product.shape, product.times(np.ones(8)).shape
    ((8, 8), (8,))
    """

    steps: tuple[NetworkStep, ...]
    like: Any
    width: int
    states: int

    @classmethod
    def of(cls, run: Iterable[NetworkStep]) -> "JacobianProduct":
        """Keep of a run what the product needs.

        Raises
        ------
        ParameterError
            If the run has no steps.
        """
        kept: list[NetworkStep] = []
        like, width = None, 0
        for step in run:
            xp = array_namespace(step.x)
            width = step.x.shape[0]
            # A slice would keep the whole array alive.
            like = xp.asarray(step.x[:0], copy=True)
            nothing = (like,) * len(step.states)
            kept.append(replace(step, states=nothing, gates=(), x=like))
        if not kept:
            raise ParameterError("a product needs at least one step")
        return cls(tuple(kept), like, width, len(kept[0].states))

    @property
    def dimension(self) -> int:
        """The number dN of singular values."""
        return self.states * self.width

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the matrix, (dN, dN)."""
        return self.dimension, self.dimension

    @property
    def dense(self) -> bool:
        """Whether some W is stored entry by entry: many vectors at a time then cost as one."""
        return any(
            isinstance(W, DenseMatrix | HouseholderMatrix)
            for step in self.steps
            for W in step.weights
        )

    def times(self, v: Any) -> Any:
        """Return J v for vectors of shape (dN,) or (dN, m)."""
        blocks = self._split(v)
        for step in self.steps:
            blocks = step.times(blocks)
        return self._joined(blocks)

    def adjoint(self, u: Any) -> Any:
        """Return the transpose of J applied to vectors of shape (dN,) or (dN, m)."""
        blocks = self._split(u)
        for step in reversed(self.steps):
            blocks = step.adjoint(blocks)
        return self._joined(blocks)

    def gram(self, v: Any) -> Any:
        r"""Return :math:`J^T J v`."""
        return self.adjoint(self.times(v))

    def random_signs(self, rng: np.random.Generator, count: int | None = None) -> Any:
        """Draw vectors of independent signs, shape (dN,), or (dN, count)."""
        shape = (self.dimension,) if count is None else (self.dimension, count)
        signs = 2 * rng.integers(2, size=shape, dtype=np.int8) - 1
        xp = array_namespace(self.like)
        device = getattr(self.like, "device", None)
        return xp.asarray(signs.astype(np.float64), dtype=self.like.dtype, device=device)

    def linear_operator(self) -> LinearOperator:
        """Return the product as SciPy's routines take it, on the host."""
        xp, like = array_namespace(self.like), self.like

        def on_host(action: Any) -> Any:
            def apply(v: np.ndarray) -> np.ndarray:
                moved = xp.asarray(v, dtype=like.dtype, device=getattr(like, "device", None))
                return to_numpy(action(moved))

            return apply

        times, adjoint = on_host(self.times), on_host(self.adjoint)
        dtype = to_numpy(like).dtype
        return LinearOperator(  # pyright: ignore[reportCallIssue]
            self.shape, matvec=times, rmatvec=adjoint, matmat=times, rmatmat=adjoint, dtype=dtype
        )

    def _split(self, v: Any) -> list[Any]:
        if v.shape[0] != self.dimension or v.ndim > 2:
            raise ParameterError(
                f"the product of {self.states} x {self.width} variables takes vectors of shape "
                f"({self.dimension},) or ({self.dimension}, m), not {tuple(v.shape)}"
            )
        if self.states == 1:
            return [v]
        return [v[i * self.width : (i + 1) * self.width, ...] for i in range(self.states)]

    def _joined(self, blocks: Sequence[Any]) -> Any:
        return blocks[0] if len(blocks) == 1 else array_namespace(blocks[0]).concat(blocks)
