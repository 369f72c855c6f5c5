"""Monitors of consumer groups side by side on one broker, each case driven by a producer and a consumer of ours, so that the truth is known.

`make compare` runs the cases, asks all tools about them, and writes who said what, and when, into docs/operations.md.
"""
