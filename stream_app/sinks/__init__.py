"""Copies of what is committed: Redis, ClickHouse, result topics, dead letters.

Writer and reader of one format stand side by side.
"""
