"""The error of access."""


class AccessError(Exception):
    """A server can't be used with what is configured, and asking again would not help. The message is one sentence without secrets."""
