"""Bytes of our own: frames of the events topic, ledger rows, keys, versions.

Pure; each format has a number that is checked when read.
"""
