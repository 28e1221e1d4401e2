r"""Gates of infinite gain: they are 0 or 1, and the spectrum is an atom at 1 beside a disk.

All of it refers to fixed points of tied networks.
"""

import math
from dataclasses import dataclass

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Parameters, lstm, sigmoid
from rmt_jacobian.mean_field.at_rest.fixed_points import FixedPoint
from rmt_jacobian.mean_field.at_rest.frozen import FrozenVariables
from rmt_jacobian.mean_field.at_rest.slow_modes import binary_open_share, gru_open_gain
from rmt_jacobian.mean_field.at_rest.zero_spectra import AtomsAndDisk
from rmt_jacobian.solvers import roots_in

__all__ = ["BinaryForget", "gru_binary_update", "lstm_binary_forget"]

_, _ENTER, _LEAVE, _CANDIDATE = lstm.gates
_FRESH = sigmoid(_ENTER) * sp.tanh(_CANDIDATE)  # the cell state of a site that has forgotten
_OUTPUT = sigmoid(_LEAVE)


def gru_binary_update(point: FixedPoint, bias_ratio: float = 0.0) -> AtomsAndDisk:
    r"""Return the spectrum of a GRU whose update gate has infinite gain: z = 0 or 1.

    .. math:: (1 - \alpha) \, \delta_1 \; + \; \text{a disk at } 0 \text{ of radius }
              \rho_0 \sqrt\alpha \text{ and mass } \alpha, \qquad
              \alpha = \frac{1}{2} \operatorname{erfc} \frac{\beta}{\sqrt{2 C_h}}

    A site with z = 1 has a row of the identity; what is left are the rows and columns of the open
    sites.

    Parameters
    ----------
    point
        A nonzero fixed point, on which the update gate has no influence.
    bias_ratio
        beta = b_z / a_z, kept as a_z grows.

    References
    ----------
    :cite:t:`Can2020`, eq. (19); the derivation is ours.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> from rmt_jacobian.mean_field import fixed_points
    >>> limit = gru_binary_update(fixed_points(gru, Parameters.of(gru, input_std=0))[-1])
    >>> limit.atoms, round(limit.radius, 4)
    (((1.0, 0.5),), 0.791)
    """
    alpha = binary_open_share(bias_ratio, point.average(point.cell.states[0] ** 2))
    return AtomsAndDisk(0.0, math.sqrt(gru_open_gain(point) * alpha), alpha, ((1.0, 1 - alpha),))


@dataclass(frozen=True)
class BinaryForget:
    """A fixed point of an LSTM whose forget gate is binary.

    Attributes
    ----------
    state_variance
        C_h = E[h^2].
    open_share
        alpha, the share of sites that forget everything.
    spectrum
        Atoms and disk.
    """

    state_variance: float
    open_share: float
    spectrum: AtomsAndDisk


def lstm_binary_forget(parameters: Parameters, bias_ratio: float = 0.0) -> tuple[BinaryForget, ...]:
    r"""Return fixed points and spectra of an LSTM whose forget gate has infinite gain: f = 0 or 1.

    A site with f = 1 accumulates without bound, so that tanh(c) is 1 or -1 there, and one with
    f = 0 has c = i tanh(e_y):

    .. math:: C_h = E[o^2] \, \bigl(\alpha \, E \tanh^2(i \tanh e_y) + 1 - \alpha\bigr), \qquad
              \frac{1 - \alpha}{2} \, \delta_1 + \frac{\alpha}{2} \, \delta_0
              + \text{a disk of mass } \tfrac{1}{2},

    .. math:: R^2 = a_o^2 E[o'^2] \frac{C_h}{E[o^2]}
              + \alpha \, E\bigl[o^2 \tanh'(c)^2 (a_i^2 i'^2 \tanh(e_y)^2
              + a_h^2 i^2 \tanh'(e_y)^2)\bigr].

    Parameters
    ----------
    parameters
        Of an LSTM; what they say of the forget gate is not used.
    bias_ratio
        beta = b_f / a_f, kept as a_f grows.

    Returns
    -------
    tuple of BinaryForget
        Of every solution for C_h on a grid of sign changes, from the smallest.

    Notes
    -----
    The limit of the law, not of its edge: a share of order 1/a_f of the sites has a gate between
    its limits, and through the derivative of that gate they carry a few eigenvalues out to a
    distance that grows as the square root of a_f.

    References
    ----------
    :cite:t:`Can2020`, eq. (34); the derivation and the remark on the edge are ours.

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm
    >>> (found,) = lstm_binary_forget(Parameters.of(lstm, input_std=0))
    >>> round(found.state_variance, 4), found.spectrum.atoms
    (0.1421, ((1.0, 0.25), (0.0, 0.25)))
    """
    grid = [float(value) for value in np.geomspace(1e-9, 1.0, 64)]
    roots = roots_in(lambda c: _binary_state(parameters, c, bias_ratio) - c, grid)
    return tuple(_binary_point(parameters, root.unwrap(), bias_ratio) for root in roots)


def _binary_frozen(parameters: Parameters, state_variance: float) -> FrozenVariables:
    variances = tuple(
        group.preactivation_variance(state_variance, parameters.input_variance)
        for _, group in parameters.groups
    )
    return FrozenVariables(lstm, parameters, variances)


def _binary_state(parameters: Parameters, state_variance: float, bias_ratio: float) -> float:
    """Return the C_h that follows from a given one."""
    alpha = binary_open_share(bias_ratio, state_variance)
    frozen = _binary_frozen(parameters, state_variance)
    forgotten = frozen.average(sp.tanh(_FRESH) ** 2)
    return frozen.average(_OUTPUT**2) * (alpha * forgotten + 1 - alpha)


def _binary_point(parameters: Parameters, state_variance: float, bias_ratio: float) -> BinaryForget:
    alpha = binary_open_share(bias_ratio, state_variance)
    frozen = _binary_frozen(parameters, state_variance)
    std = {name: group.weight_std for name, group in parameters.groups}
    share = state_variance / frozen.average(_OUTPUT**2)
    through_output = std["output"] ** 2 * frozen.average(_OUTPUT.diff(_LEAVE) ** 2) * share
    seen = sp.tanh(_FRESH)
    through_memory = frozen.average(_OUTPUT**2) * (
        std["input"] ** 2 * frozen.average(seen.diff(_ENTER) ** 2)
        + std["candidate"] ** 2 * frozen.average(seen.diff(_CANDIDATE) ** 2)
    )
    radius = math.sqrt(through_output + alpha * through_memory)
    atoms = ((1.0, (1 - alpha) / 2), (0.0, alpha / 2))
    return BinaryForget(state_variance, alpha, AtomsAndDisk(0.0, radius, 0.5, atoms))
