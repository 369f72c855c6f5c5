"""The error of the local stack."""


class LocalError(Exception):
    """One clear sentence for the user: what is wrong, and what to do about it."""
