"""What all clients of Kafka have in common: how they connect, find brokers again, and wait for those that are away."""
