"""The letters of words in free variables: diagonal matrices, R-diagonal matrices, anything else.

A letter is either :class:`RDiagonal` or lies in the algebra that is free from all of them.
"""

from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import sympy as sp

__all__ = ["Diagonal", "Letter", "RDiagonal", "Word"]


@runtime_checkable
class Letter(Protocol):
    """What a letter must offer: an adjoint, equality and a hash.

    A frozen dataclass with a property ``adjoint_letter`` is a letter; unless it is
    :class:`RDiagonal`, it is taken to be free from every R-diagonal letter.
    """

    @property
    def adjoint_letter(self) -> "Letter":
        """The adjoint of the letter."""
        ...

    def __hash__(self) -> int: ...


Word: TypeAlias = tuple[Letter, ...]
"""A product of letters; the empty word is the identity."""


@dataclass(frozen=True)
class Diagonal:
    r"""A real diagonal matrix, which commutes with every other one.

    .. math:: D = D^T, \qquad D_1 D_2 = D_2 D_1

    Parameters
    ----------
    value : sympy.Expr
        Its entry at one site, as a real function of the site variables.

    Examples
    --------
    >>> u = Diagonal(sp.Symbol("u"))
    >>> u.adjoint_letter == u
    True
    """

    value: sp.Expr

    @property
    def adjoint_letter(self) -> "Diagonal":
        """The diagonal matrix itself."""
        return self


@dataclass(frozen=True)
class RDiagonal:
    r"""An R-diagonal matrix, e.g. a Gaussian or a Haar orthogonal one, or its adjoint.

    .. math::
        \kappa_{2n}(W, W^*, \ldots, W, W^*) = \kappa_{2n}(W^*, W, \ldots, W^*, W) = \alpha_n,
        \quad \text{every other free cumulant of } W, W^* \text{ is zero}

    Parameters
    ----------
    name : str
        Letters of different names are free from each other.
    adjoint : bool, default False
        Whether the letter is :math:`W^*` rather than :math:`W`.

    References
    ----------
    Nica & Speicher 2006, Definition 15.3.

    Examples
    --------
    >>> RDiagonal("W").adjoint_letter
    RDiagonal(name='W', adjoint=True)
    """

    name: str
    adjoint: bool = False

    @property
    def adjoint_letter(self) -> "RDiagonal":
        """The letter with ``adjoint`` flipped."""
        return replace(self, adjoint=not self.adjoint)
