"""Health of consumer groups and of results: lag, status, freshness, silence, and advice in words. Pure: no I/O, no clock; knows nothing of charging."""
