"""One events partition: overlay, tick, commit, fencing, recovery, sinks.

Its ports are Protocols; Faust is not known here.
"""
