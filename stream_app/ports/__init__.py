"""Ports: what ingest, partitions and sinks need of Kafka, of a store and of each other, as Protocols and plain values.

Pure declarations.

The real things (stream_app.kafka, stream_app.partition.store, stream_app.sinks) and the simulation's stand-ins both
satisfy them.
"""
