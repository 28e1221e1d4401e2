"""The law of the eigenvalues of one step of any cell: density, support and atoms."""

from rmt_jacobian.eigenvalues.law import EigenvalueLaw, EigenvalueSolution
from rmt_jacobian.eigenvalues.of_cells import eigenvalue_law

__all__ = [
    "EigenvalueLaw",
    "EigenvalueSolution",
    "eigenvalue_law",
]
