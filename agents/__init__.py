"""Faust agents, one thin coroutine a stage: read, hand on, acknowledge. No rule is in here."""
