"""Laws of a shape fitted to the spectra of sampled matrices, with the errors that remain.

Moments are matched.  The eigenvalues of a matrix repel each other, so that a moment scatters like
1/N and not like 1/sqrt(N); its scatter is that of linear statistics of Gaussian matrices.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ParameterError

__all__ = ["Fit", "spectra_of"]

L = TypeVar("L")

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Fit(Generic[L]):
    """A law fitted to spectra.

    Attributes
    ----------
    law
        The law.
    errors
        The standard error of each of its parameters.
    """

    law: L
    errors: dict[str, float]

    def __str__(self) -> str:
        named = (
            f"{name} = {getattr(self.law, name):.6g} +- {error:.2g}"
            for name, error in self.errors.items()
        )
        return f"{type(self.law).__name__}: {', '.join(named)}"


def spectra_of(values: ArrayLike, *, positive: bool = False) -> tuple[np.ndarray, int, int]:
    """Return spectra of shape (samples, N), the number of samples and N.

    Parameters
    ----------
    values
        Shape (samples, N) or (N,); one row for each matrix.
    positive
        Whether no value may lie below 0, but for the rounding of the largest.

    Raises
    ------
    ParameterError
        If there are fewer than two values in a row, some are not finite or below what they may be.
    """
    spectra = np.atleast_2d(np.asarray(values, dtype=float))
    if spectra.ndim != 2 or spectra.shape[1] < 2 or not np.isfinite(spectra).all():
        raise ParameterError(
            "a law is fitted to finite values of shape (samples, N) or (N,), N at least 2"
        )
    if positive and spectra.min() < -_ROUNDING * np.abs(spectra).max():
        raise ParameterError("the spectra have values below 0: the law has none")
    if np.ptp(spectra) == 0:
        raise ParameterError("all values are the same: no law of this shape fits them")
    return spectra, *spectra.shape
