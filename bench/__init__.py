"""The benchmarks, peers side by side in the same run: `make bench`, or `python -m bench whole latency --events 100000`.

They run on a stack of their own under `.run/bench`, with free ports; what somebody works with is neither used nor measured.
"""
