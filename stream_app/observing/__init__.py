"""Observing a Kafka cluster: topics, offsets, consumer groups, timestamps, the newest records, the as-of frontier. Joins no group, writes nothing.

Clients of librdkafka, which know topic ids and the groups of KIP-848; two requests by aiokafka. Knows neither Faust nor charging.
"""
