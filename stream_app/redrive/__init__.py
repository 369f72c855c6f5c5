"""Dead letters listed, sent again and dropped, by people. Knows the topic of letters and the source topics, and nothing of results."""
