"""Lyapunov exponents of any cell: their law, the largest, and long chains."""

from rmt_jacobian.lyapunov.blocks import largest_exponent
from rmt_jacobian.lyapunov.exponents import LongChain, LyapunovExponents, Wave, lyapunov_exponents
from rmt_jacobian.lyapunov.law import LyapunovLaw, lyapunov_law

__all__ = [
    "LongChain",
    "LyapunovExponents",
    "LyapunovLaw",
    "Wave",
    "largest_exponent",
    "lyapunov_exponents",
    "lyapunov_law",
]
