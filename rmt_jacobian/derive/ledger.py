"""Every numbered equation of the literature, the function here that stands for it, and a verdict.

The rows stand in a module for each source; what they say and how they are shown is in
:mod:`.ledger_entry`.
"""

from rmt_jacobian.derive.ledger_can2020 import CAN2020
from rmt_jacobian.derive.ledger_chen2018 import CHEN2018
from rmt_jacobian.derive.ledger_entry import LedgerEntry, ledger_markdown
from rmt_jacobian.derive.ledger_gated import GATED

__all__ = ["LEDGER", "LedgerEntry", "ledger_markdown"]

LEDGER: tuple[LedgerEntry, ...] = (*CHEN2018, *CAN2020, *GATED)
"""The rows of all sources, in the order in which these print them; our own results at the end."""
