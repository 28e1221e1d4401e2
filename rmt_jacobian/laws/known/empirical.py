"""The empirical law of a sample."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws.known.atomic import AtomicLaw

__all__ = ["Empirical"]


@dataclass(frozen=True, eq=False)
class Empirical(AtomicLaw):
    r"""The law that gives every point of a sample the same mass.

    .. math:: \mu = \frac 1 n \sum_{k=1}^n \delta_{x_k}

    Points that occur several times make one atom.  The R- and the S-transform are computed near
    zero only.  Two laws are equal if they are the same object.

    Parameters
    ----------
    samples
        Real numbers, finite, at least one, of any shape; a sorted copy is kept.

    Raises
    ------
    ParameterError
        If there is no sample, or one is not a finite real number.

    Examples
    --------
    >>> law = Empirical([3.0, 1.0, 2.0, 2.0])
    >>> law.atoms()
    ((1.0, 0.25), (2.0, 0.5), (3.0, 0.25))
    >>> law.cdf([0, 2, 5]).tolist()
    [0.0, 0.75, 1.0]
    """

    samples: ArrayLike = field(repr=False)

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        if samples.size == 0 or samples.dtype.kind not in "iuf" or not np.all(np.isfinite(samples)):
            raise ParameterError("samples must be finite real numbers, at least one")
        kept = np.sort(samples.astype(float), axis=None)
        kept.flags.writeable = False
        object.__setattr__(self, "samples", kept)
        locations, counts = np.unique(kept, return_counts=True)
        self._store(locations, counts / kept.size, np.cumsum(counts) / kept.size)
