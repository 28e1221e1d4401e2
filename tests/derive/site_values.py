"""Derived expressions evaluated on given sites, without the package's evaluation."""

from collections.abc import Mapping

import numpy as np
import sympy as sp
from scipy.special import expit

from rmt_jacobian.derive import Derivation
from rmt_jacobian.derive.quantities import SCoefficient, Shorthand, SiteAverage, WeightStd

Sites = Mapping[sp.Symbol, np.ndarray]


def s_coefficient(weights: str, order: int) -> int:
    return (-1) ** order if weights == "gaussian" else 0


def on_sites(derivation: Derivation, sites: Sites, weights: str, weight_std: float) -> float:
    """Replace every average by that over the sites."""
    values: dict[sp.Symbol, float] = {}
    expression = derivation.expression
    for symbol, quantity in derivation.symbols.items():
        match quantity:
            case Shorthand():
                expression = expression.subs(symbol, quantity.expression)
            case SiteAverage():
                product = quantity.product.subs(dict(quantity.letters), simultaneous=True)
                f = sp.lambdify(list(sites), product, modules=[{"sigmoid": expit}, "numpy"])
                values[symbol] = float(np.mean(f(*sites.values())))
            case WeightStd():
                values[symbol] = weight_std
            case SCoefficient():
                values[symbol] = s_coefficient(weights, quantity.order)
    return float(expression.subs(values))
