"""What the API reads: the ports of the stores (`ports`), Redis in batches (`redis_store`), and what keeps a store that is down from being waited for (`circuit`)."""
