"""Stores that the API reads: their ports (`ports`), Redis in batches (`redis_store`), circuit breakers (`circuit`)."""
