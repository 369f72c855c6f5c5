"""Faust tables by name: `ledger`, `monthly`, `half_hour`; key, changelog, store. No rule is in here."""
