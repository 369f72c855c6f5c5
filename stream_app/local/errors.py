"""What the local stack says when it can't go on."""


class LocalError(Exception):
    """One clear sentence for the user: what is wrong, and what to do about it."""
