"""Ingest: source records to the events topic, by operator. Stateless; Faust and aiokafka are not known here."""
