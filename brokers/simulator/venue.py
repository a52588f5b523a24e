"""The simulated venue: catch up many accounts, take orders of one, report. Below it, one file a question."""

from brokers.simulator.batch import ACCOUNTS_PER_BATCH, SESSIONS_PER_CALL, advance
from brokers.simulator.reporting import account_report, order_report, position_reports, reports
from brokers.simulator.submission import cancel, preview, replace_order, submit_many

__all__ = [
    "ACCOUNTS_PER_BATCH",
    "SESSIONS_PER_CALL",
    "account_report",
    "advance",
    "cancel",
    "order_report",
    "position_reports",
    "preview",
    "replace_order",
    "reports",
    "submit_many",
]
