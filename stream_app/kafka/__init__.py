"""Kafka as a log, by aiokafka: whole record batches, appends, transactions, replay. Knows neither Faust nor charging."""
