"""The local stack: what `make up`, `down` and `clean` do, and the real servers of the tests.

Everything runs on loopback, as the user who called, with programs and data under one run folder; nothing is installed
into the machine and no daemon is left behind. Reads no settings: the commands hand values down.
"""
