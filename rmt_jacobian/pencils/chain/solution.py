"""Self-energies of a chain at spectral points, and whether they are an answer."""

from dataclasses import dataclass
from typing import Any

from rmt_jacobian.arrays import array_namespace, taken

__all__ = ["ChainSolution"]

_ARRAYS = ("sigma", "averages", "symmetric", "residual", "error", "inside", "converged")


@dataclass(frozen=True)
class ChainSolution:
    r"""Self-energies of a chain at spectral points, and whether they are an answer.

    Attributes
    ----------
    s
        The points, shape (points,).
    sigma, averages
        :math:`\Sigma` and g of every block, shape (points, blocks).
    symmetric
        G(s) of the symmetrised singular values, whether converged or not; shape (points,).
    residual
        The largest relative difference of the averages from those that the self-energies ask for.
    error
        The largest relative change that another step of Newton's method would make.
    inside
        Whether the point lies in the support (or above the axis): imaginary parts do not vanish.
    converged
        Whether the error is small and the solution is certified to be the right one.
    sweeps
        Evaluations of the averages.
    """

    s: Any
    sigma: Any
    averages: Any
    symmetric: Any
    residual: Any
    error: Any
    inside: Any
    converged: Any
    sweeps: int

    @property
    def cauchy(self) -> Any:
        """G(s) of the symmetrised singular values; nan if not converged."""
        return self.where_converged(self.symmetric)

    def where_converged(self, values: Any) -> Any:
        """Return values, one for each point, with nan where the point did not converge."""
        xp = array_namespace(values)
        return xp.where(self.converged, values, xp.full_like(values, xp.nan))

    @classmethod
    def joined(cls, s: Any, parts: "list[ChainSolution]", rows: Any = None) -> "ChainSolution":
        """Return the solutions at points in their order, or at given rows of them."""
        xp = array_namespace(s)
        arrays = [xp.concat([getattr(part, name) for part in parts], axis=0) for name in _ARRAYS]
        if rows is not None:
            arrays = [taken(array, rows) for array in arrays]
        return cls(s, *arrays, sweeps=sum(part.sweeps for part in parts))

    def mended(self, others: "ChainSolution", where: Any = None) -> "ChainSolution":
        """Return the same with others in place of some points, by default of those not solved."""
        xp, rows = array_namespace(self.s), self.s.shape[0]
        where = ~self.converged if where is None else where
        place = xp.cumulative_sum(xp.astype(where, xp.int64)) + rows - 1
        source = xp.where(where, place, xp.arange(rows))
        return ChainSolution.joined(self.s, [self, others], source)
