"""Faust tables by name: `ledger`, and one for each table of results; key, changelog, store. No rule is in here."""
