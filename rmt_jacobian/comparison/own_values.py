"""Singular values that a user brings, beside a law."""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.comparison.distances import LineLaw
from rmt_jacobian.comparison.spectra import SpectrumComparison, compare_spectrum
from rmt_jacobian.counts import check_counts, check_numbers
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import Law, parse_law

__all__ = ["checked_law", "checked_values", "compare"]

AnyLaw = TypeVar("AnyLaw", bound=LineLaw)


@named_arguments
def compare(
    values: ArrayLike,
    law: LineLaw | str,
    *,
    label: str = "",
    quantile: float = 0.99,
    states: int | None = None,
) -> SpectrumComparison:
    """Compare singular values with a law: distances, what chance allows, and a verdict.

    Parameters
    ----------
    values
        Shape (N,), or (networks, N).
    law
        Their law: one of this package, a frozen ``scipy.stats`` distribution, or its notation, such
        as ``"quarter-circle(2)"``.
    label
        What was compared.
    quantile
        The share of right laws whose distances stay below the nulls.
    states
        d, the number of states of a site, where these are dN singular values of one network; by
        default what the law says of itself.

    Raises
    ------
    ParameterError
        If values are no real numbers, not finite or below 0, or the law is none.

    Examples
    --------
    >>> W = np.random.default_rng(0).standard_normal((200, 200)) / 200**0.5
    >>> values = np.linalg.svd(W, compute_uv=False)
    >>> compare(values, "quarter-circle(2)").verdict, compare(values, "quarter-circle(2.4)").verdict
    ('agrees', 'fails')
    """
    known = checked_law(law)
    name = label or (law if isinstance(law, str) else "")
    checked = checked_values(values)
    check_numbers(quantile=quantile)
    if states is not None:
        check_counts(states=states)
    own = int(getattr(known, "states", 1)) if states is None else states
    return compare_spectrum(known, checked, label=name, quantile=quantile, states=own)


def checked_law(law: AnyLaw | str) -> AnyLaw | Law:
    """Return a law, or the one that a notation stands for.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    if isinstance(law, str):
        return parse_law(law)
    if not (hasattr(law, "cdf") and hasattr(law, "ppf")):
        raise ParameterError(
            f"a law has cdf and ppf, which {law!r} has not: give one of rmt_jacobian.laws, of "
            "scipy.stats, or a notation such as 'quarter-circle(2)'"
        )
    return law


def checked_values(values: ArrayLike, name: str = "values") -> np.ndarray:
    """Return singular values as an array of shape (networks, N).

    Parameters
    ----------
    values
        Shape (N,), or (networks, N).
    name
        What messages call them.

    Raises
    ------
    ParameterError
        If they are no real numbers, not finite, below 0, or of another shape.
    """
    try:
        found = np.asarray(values)
    except ValueError:
        raise ParameterError(f"{name} must be rows of one length") from None
    if found.dtype.kind not in "fiu" or found.ndim not in (1, 2) or not found.size:
        raise ParameterError(
            f"{name} must hold real numbers of shape (networks, N) or (N,), not {found.dtype} of "
            f"shape {found.shape}"
        )
    spectra = np.atleast_2d(found.astype(float))
    if not np.isfinite(spectra).all():
        raise ParameterError(f"{name} holds values that are not finite: leave them out")
    if np.any(spectra < 0):
        raise ParameterError(
            f"{name} holds values below 0, which singular values are not: take absolute values, "
            "or compare eigenvalues with compare_spectrum"
        )
    return spectra
