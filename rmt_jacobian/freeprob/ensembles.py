r"""S-coefficients of the bi-invariant weight ensembles.

The S-transform of :math:`W W^T` is written
:math:`\sigma_w^{-2} (1 + s_1 z + s_2 z^2 + \cdots)`; the :math:`s_k` depend on the ensemble only.
"""

import sympy as sp

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.freeprob.power_series import Series

__all__ = ["WEIGHTS", "s_coefficients_of_weights"]

WEIGHTS = ("gaussian", "orthogonal")
"""The names of the bi-invariant ensembles."""


def s_coefficients_of_weights(weights: str, order: int) -> Series:
    r"""S-coefficients of :math:`W W^T` for a named ensemble.

    .. math::
        S_{W W^T}(z) = \frac{1}{\sigma_w^2} \frac{1}{1 + z}
        \;\text{(Gaussian)}, \qquad
        S_{W W^T}(z) = \frac{1}{\sigma_w^2} \;\text{(orthogonal)}

    Parameters
    ----------
    weights : {"gaussian", "orthogonal"}
        Independent entries of variance :math:`\sigma_w^2 / N`, or :math:`\sigma_w` times a Haar
        orthogonal matrix, both :math:`N \times N`.
    order : int
        How many coefficients, at least 0.

    Returns
    -------
    tuple of sympy.Expr
        :math:`(s_1, \ldots, s_{\text{order}})`.

    Raises
    ------
    ParameterError
        If the name is unknown or the order negative.

    References
    ----------
    Voiculescu 1987; for the Gaussian case see also Mingo & Speicher 2017, section 4.5.

    Examples
    --------
    >>> s_coefficients_of_weights("gaussian", 3)
    (-1, 1, -1)
    >>> s_coefficients_of_weights("orthogonal", 3)
    (0, 0, 0)
    """
    if order < 0:
        raise ParameterError(f"the number of S-coefficients must be at least 0, not {order}")
    if weights == "gaussian":
        return tuple(sp.Integer((-1) ** k) for k in range(1, order + 1))
    if weights == "orthogonal":
        return (sp.S.Zero,) * order
    raise ParameterError(f"unknown weights {weights!r}; choose one of {', '.join(WEIGHTS)}")
