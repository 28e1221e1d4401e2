"""Moments of products of a minimalRNN by a recursion of their own, for laws with heavy tails.

Averages are by adaptive quadrature; the recursion is that of (m_1, m_2, E[d^2], E[d h^2]) written
out by hand, with d the diagonal of J J^T, h' = u h + (1 - u) x and B = u (1 - u) (h - x).
"""

import math

from scipy.integrate import quad
from scipy.special import expit

from rmt_jacobian.cells import Parameters, minimalrnn

__all__ = ["POINT", "gates", "moments"]

POINT = Parameters.of(minimalrnn).with_values(
    weight_std=1.544, input_std=4.066, bias_mean=-2.2736, bias_std=1.0, input_variance=0.733
)


def gates(parameters: Parameters, q: float, kept: int, closed: int) -> float:
    """E[u^kept (1 - u)^closed], u = sigmoid(e), e ~ N(mu, q)."""
    group = parameters.only

    def integrand(z: float) -> float:
        e = group.bias_mean + math.sqrt(q) * z
        return expit(e) ** kept * expit(-e) ** closed * math.exp(-z * z / 2)

    peak = min(kept * math.sqrt(q), max(0.0, -group.bias_mean / math.sqrt(q)))
    return quad(integrand, -40, 40, points=[peak, 0.0], limit=500)[0] / math.sqrt(2 * math.pi)


def moments(parameters: Parameters, steps: int, s_1: float) -> tuple[float, float]:
    """Return m_1 and m_2 after some steps."""
    group, R = parameters.only, parameters.input_variance
    w = group.weight_std**2
    Q = 0.0
    for _ in range(200):
        q = w * Q + group.input_std**2 * R + group.bias_std**2
        Q = R * gates(parameters, q, 0, 2) / (1 - gates(parameters, q, 2, 0))

    def E(kept: int, closed: int) -> float:
        return gates(parameters, q, kept, closed)

    h4 = 6 * E(2, 2) * Q * R + 3 * R * R * E(0, 4)
    h4 /= 1 - E(4, 0)
    spread2, spread4 = Q + R, h4 + 6 * Q * R + 3 * R * R  # of h - x
    mu_1, mu_2, B4 = E(2, 0), w * E(2, 2) * spread2, E(4, 4) * spread4
    # E[(h - x)^2 h'^2] over h and x, in powers of u and 1 - u.
    with_state = (
        E(4, 2) * (h4 + R * Q)
        + E(2, 4) * (Q * R + 3 * R * R)
        - 4 * E(3, 3) * Q * R
    )  # fmt: skip
    one = mu_1 + mu_2
    mean = second = square = 1.0
    state = Q
    A4, A2B2 = E(4, 0), E(4, 2)
    for _ in range(steps):
        mixed = A2B2 * (state + R * mean)
        second = (
            one**2 * second
            + (A4 - mu_1**2) * square
            + 2 * w * mean * mixed
            + mean**2 * (w * w * B4 - (1 + s_1) * mu_2**2)
        )
        square = A4 * square + 2 * w * mean * mixed + w * w * mean**2 * B4
        state = A4 * state + E(2, 2) * R * mean + w * mean * with_state
        mean = one * mean
    return mean, second
