"""From the bytes of others to our rows: any bytes become an event or a rejection, never an exception. Pure, as the domain is.

`read` is the door; `registry` is the table of the source topics. Behind them a module a source format (`canonical`, `ocpi`) gives each kind two ways
in: a fast one, that takes what is surely right, and an exact one, that has the last word on everything else and knows what to say about it.
"""

from stream_app.sources.decode import FUTURE_MS, Decoded, decode, read

__all__ = ["FUTURE_MS", "Decoded", "decode", "read"]
