r"""Spectra at the zero fixed point of tied networks, where all sites are alike."""

import math
from dataclasses import dataclass

from rmt_jacobian.cells import Parameters, sigmoid
from rmt_jacobian.errors import HypothesisError, ParameterError

__all__ = ["AtomsAndDisk", "gru_zero_growth", "gru_zero_spectrum", "lstm_zero_spectrum"]


@dataclass(frozen=True)
class AtomsAndDisk:
    """A spectrum that consists of a disk and of atoms on the real axis.

    Attributes
    ----------
    centre, radius
        Of the disk.
    mass
        Share of the eigenvalues in the disk.
    atoms
        Pairs of location and share of the eigenvalues.
    """

    centre: float
    radius: float
    mass: float
    atoms: tuple[tuple[float, float], ...] = ()

    @property
    def spectral_radius(self) -> float:
        """The largest modulus in the support."""
        return max(abs(self.centre) + self.radius, *(abs(at) for at, _ in self.atoms), 0.0)

    @property
    def stable(self) -> bool:
        """Whether all of it lies inside the unit circle."""
        return self.spectral_radius < 1


def gru_zero_spectrum(parameters: Parameters) -> AtomsAndDisk:
    r"""Return the spectrum of a GRU at its zero fixed point: a uniform disk for Gaussian weights.

    .. math:: J = \sigma(b_z) + (1 - \sigma(b_z)) \, \sigma(b_r) \, W_y

    Parameters
    ----------
    parameters
        Of a GRU without input, bias variance and bias of the candidate.

    Raises
    ------
    HypothesisError
        If there is no zero fixed point.

    Notes
    -----
    Orthogonal weights put all eigenvalues on the circle that bounds the disk.

    References
    ----------
    :cite:t:`Can2020`, the text on the zero fixed point.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> spectrum = gru_zero_spectrum(Parameters.of(gru, input_std=0))
    >>> spectrum.centre, spectrum.radius, spectrum.stable
    (0.5, 0.75, False)
    """
    _check_zero(parameters)
    centre, radius = _gru_zero_disk(parameters)
    return AtomsAndDisk(centre, radius, 1.0)


def _gru_zero_disk(parameters: Parameters) -> tuple[float, float]:
    update, reset = _gate_at_zero(parameters, "update"), _gate_at_zero(parameters, "reset")
    return update, (1 - update) * reset * parameters["candidate"].weight_std


def lstm_zero_spectrum(parameters: Parameters) -> AtomsAndDisk:
    r"""Return the spectrum of an LSTM at its zero fixed point: an atom at 0 and a disk.

    The state h follows c, dh = o dc, which leaves one zero for each site and

    .. math:: \sigma(b_f) + \sigma(b_o) \, \sigma(b_i) \, W_y.

    Parameters
    ----------
    parameters
        Of an LSTM without input, bias variance and bias of the candidate.

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm
    >>> lstm_zero_spectrum(Parameters.of(lstm, input_std=0))
    AtomsAndDisk(centre=0.5, radius=0.75, mass=0.5, atoms=((0.0, 0.5),))
    """
    _check_zero(parameters)
    forget, enter, leave = (_gate_at_zero(parameters, g) for g in ("forget", "input", "output"))
    radius = leave * enter * parameters["candidate"].weight_std
    return AtomsAndDisk(forget, radius, 0.5, ((0.0, 0.5),))


def _check_zero(parameters: Parameters) -> None:
    driven = [
        name
        for name, group in parameters.groups
        if group.bias_std > 0 or group.input_std**2 * parameters.input_variance > 0
    ]
    if driven or parameters["candidate"].bias_mean != 0:
        raise HypothesisError(
            f"there is no zero fixed point: {', '.join(driven) or 'candidate'} has an input or a "
            "bias; set input_std, bias_std and candidate.bias_mean to 0, or use fixed_points"
        )


def _gate_at_zero(parameters: Parameters, name: str) -> float:
    return float(sigmoid(parameters[name].bias_mean).evalf())


def gru_zero_growth(parameters: Parameters, steps: int) -> float:
    r"""Return tau(J^n (J^n)^T) of a GRU that rests at zero, for tied weights.

    .. math:: \sum_k \binom{n}{k}^2 c^{2 (n - k)} \varrho^{2 k}
              = c^{2 n} \, {}_2F_1\left(-n, -n; 1; \varrho^2 / c^2\right)

    with centre c and radius of the disk of :func:`gru_zero_spectrum`.

    Parameters
    ----------
    parameters
        Of a GRU without input, bias variance and bias of the candidate.
    steps
        n.

    Notes
    -----
    Uses only that tau(W^k (W^l)^T) is 0 for k != l and a_h^(2k) for k = l, as N grows: Gaussian and
    orthogonal weights alike.

    References
    ----------
    :cite:t:`Can2020`, eqs. (121) and (122), here derived anew: one factor sigma(b_r) in the radius,
    and -n twice in the hypergeometric function.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> gru_zero_growth(Parameters.of(gru, input_std=0), 1) == 0.5**2 + 0.75**2
    True
    """
    if steps < 0:
        raise ParameterError(f"steps must be a whole number >= 0, not {steps}")
    _check_zero(parameters)
    centre, radius = _gru_zero_disk(parameters)
    return sum(
        math.comb(steps, k) ** 2 * centre ** (2 * (steps - k)) * radius ** (2 * k)
        for k in range(steps + 1)
    )
