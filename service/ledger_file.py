"""The SQLite file of the ledger: how it is opened, what is in it, and its faults as sentences."""


class LedgerError(Exception):
    """The ledger cannot be used, in one sentence."""
