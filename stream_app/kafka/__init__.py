"""Kafka by aiokafka: whole record batches, transactions, replay, end offsets, the as-of frontier. Knows neither Faust nor charging."""
