r"""The Dyson equation of a chain, in a form in which Newton's method goes far.

A matrix W couples two blocks a and b, :math:`\Sigma_a = \gamma(u) g_b` and
:math:`\Sigma_b = \gamma(u) g_a` with :math:`u = \Sigma_a g_a = \Sigma_b g_b`.  So
:math:`u \gamma(u) = \Sigma_a \Sigma_b` gives u from the self-energies alone, and what is left is

.. math::
    F_a = \frac{\gamma(u)}{\Sigma_b} - \frac{1}{g_a} = 0 .

Close to singular values that many sites share, or between those of single sites, the averages have
poles as functions of the self-energies, and 1/g is linear where g itself, or its logarithm, is not.
Where everything is a power, as for small s, it is the logarithm :math:`L_a` of the ratio of the two
terms that is linear in logarithms.
With :math:`\kappa = d \log u / d \log \Sigma_a \Sigma_b = \gamma / (\gamma + u \gamma')`,

.. math::
    \frac{\partial F_a}{\partial \log \Sigma_c} = \frac{\gamma(u)}{\Sigma_b}
    \bigl( (1 - \kappa) \delta_{ca} - \kappa \delta_{cb} \bigr)
    + \frac{\Sigma_c}{g_a^2} \frac{\partial g_a}{\partial \Sigma_c} ,

and :math:`L_a` has the same derivatives with :math:`\gamma(u) / \Sigma_b` and 1/g replaced by 1.
"""

from dataclasses import dataclass
from typing import Any

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.pencils.chain.product_chain import Responses
from rmt_jacobian.pencils.chain.protocol import BalancedChain

__all__ = ["Balance", "nonzero"]


def nonzero(values: Any) -> Any:
    """Return values, 1 where they vanish."""
    xp = array_namespace(values)
    return xp.where(values != 0, values, xp.ones_like(values))


@dataclass(frozen=True)
class Balance:
    r"""What the self-energies ask of the averages, at spectral points.

    Where the partner of a block vanishes, no W is behind it, and its equation is that the partner
    stays 0.

    Attributes
    ----------
    chain
        The equation.
    sigma
        :math:`\Sigma` of every block, shape (points, blocks).
    asked
        :math:`\gamma(u) / \Sigma_b`, 1 where :math:`\Sigma_b` vanishes.
    own, other
        Its logarithmic derivatives in :math:`\Sigma_a` and :math:`\Sigma_b`.
    """

    chain: BalancedChain
    sigma: Any
    asked: Any
    own: Any
    other: Any

    @classmethod
    def of(cls, chain: BalancedChain, sigma: Any, averages: Any) -> "Balance":
        """Return it at given self-energies; the averages tell the branch of u."""
        xp = array_namespace(sigma)
        partner = xp.take(sigma, xp.asarray(chain.partners), axis=1)
        u = chain.mapped("coupling", sigma * partner, chain.coupled(sigma, averages))
        gain, slope = chain.mapped("gain", u), chain.mapped("gain_derivative", u)
        bend = u * slope / (gain + u * slope)
        moves = partner != 0
        asked = xp.where(moves, gain / nonzero(partner), xp.ones_like(gain))
        return cls(chain, sigma, asked, bend, bend - 1)

    def gap(self, averages: Any) -> Any:
        """Return F, 0 where the partner vanishes."""
        xp = array_namespace(self.sigma)
        moves = self._moves
        return xp.where(moves, self.asked - 1 / xp.where(moves, averages, 1.0 + 0j), 0.0 + 0j)

    @property
    def _moves(self) -> Any:
        xp = array_namespace(self.sigma)
        return xp.take(self.sigma, xp.asarray(self.chain.partners), axis=1) != 0

    def ratio(self, averages: Any) -> Any:
        """Return g times what is asked, 1 where the partner vanishes."""
        xp = array_namespace(self.sigma)
        return xp.where(self._moves, self.asked * averages, 1.0 + 0j)

    def slopes(self, at: Responses) -> tuple[Any, Any]:
        r"""Return the derivatives of g F, with g constant, and of L in the :math:`\log \Sigma_c`.

        The shape is (points, blocks, blocks).
        """
        xp = array_namespace(self.sigma)
        unit = xp.eye(self.chain.blocks, dtype=self.sigma.dtype)
        swap = xp.take(unit, xp.asarray(self.chain.partners), axis=0)
        moves = self._moves
        inverse = 1 / xp.where(moves, at.averages, 1.0 + 0j)
        explicit = self.own[:, :, None] * unit + self.other[:, :, None] * swap
        carried = inverse[:, :, None] * at.matrix * self.sigma[:, None, :]
        ratio = self.ratio(at.averages)[:, :, None]

        def kept(slope: Any) -> Any:
            return xp.where(moves[:, :, None], slope, swap + xp.zeros_like(slope))

        return kept(ratio * explicit + carried), kept(explicit + carried)

    def drift(self, at: Responses) -> Any:
        r"""Return :math:`\partial L_a / \partial s`, shape (points, blocks)."""
        xp = array_namespace(self.sigma)
        return xp.where(self._moves, at.drift / xp.where(self._moves, at.averages, 1.0 + 0j), 0j)
