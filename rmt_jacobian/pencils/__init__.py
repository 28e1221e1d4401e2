"""Linear pencils in diagonal and random matrices: their Dyson equation, chains and series."""

from rmt_jacobian.calls import moved_names
from rmt_jacobian.pencils.blocks.chain import BlockChain
from rmt_jacobian.pencils.blocks.chain_moments import chain_moments
from rmt_jacobian.pencils.blocks.history import BlockHistory, StepDiagonals
from rmt_jacobian.pencils.blocks.untied import (
    ProductMoments,
    product_moments_of,
    untied_history,
    weight_ensembles,
)
from rmt_jacobian.pencils.blocks.wave import BlockWave, LongBlockChain
from rmt_jacobian.pencils.chain.continuation import solve_chain
from rmt_jacobian.pencils.chain.history import SiteHistory, drawn_sites, low_discrepancy_sites
from rmt_jacobian.pencils.chain.product_chain import ProductChain
from rmt_jacobian.pencils.chain.solution import ChainSolution
from rmt_jacobian.pencils.dyson import PencilSolution, log_potential, solve
from rmt_jacobian.pencils.ensembles import (
    BiInvariant,
    GaussianWeights,
    OrthogonalWeights,
    TransformWeights,
    ensemble,
)
from rmt_jacobian.pencils.pencil import Pencil, RandomEntry
from rmt_jacobian.pencils.series import pencil_moments
from rmt_jacobian.pencils.shared.chain import SharedChain

__all__ = [
    "BiInvariant",
    "BlockChain",
    "BlockHistory",
    "BlockWave",
    "ChainSolution",
    "GaussianWeights",
    "LongBlockChain",
    "OrthogonalWeights",
    "Pencil",
    "PencilSolution",
    "ProductChain",
    "ProductMoments",
    "RandomEntry",
    "SharedChain",
    "SiteHistory",
    "StepDiagonals",
    "TransformWeights",
    "chain_moments",
    "drawn_sites",
    "ensemble",
    "log_potential",
    "low_discrepancy_sites",
    "pencil_moments",
    "product_moments_of",
    "solve",
    "solve_chain",
    "untied_history",
    "weight_ensembles",
]

__getattr__ = moved_names(
    __name__,
    {
        "rmt_jacobian.eigenvalues": [
            "EigenvalueLaw",
            "EigenvalueSolution",
            "eigenvalue_law",
        ],
        "rmt_jacobian.initialization": [
            "CriticalPoint",
            "InitializationReport",
            "UsualInitialization",
            "critical_initialization",
            "initialization_report",
            "usual_initializations",
        ],
        "rmt_jacobian.lyapunov": [
            "LongChain",
            "LyapunovExponents",
            "LyapunovLaw",
            "Wave",
            "largest_exponent",
            "lyapunov_exponents",
            "lyapunov_law",
        ],
        "rmt_jacobian.singular_values": [
            "Calibration",
            "SingularValueLaw",
            "block_singular_value_law",
            "calibrated",
            "exact_moments",
            "moments",
            "singular_value_law",
        ],
    },
)
