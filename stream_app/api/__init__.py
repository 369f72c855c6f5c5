"""The HTTP interface, which reads what the sinks wrote.

Rooms: permissions and rate limit (`guard`), parameters and answers (`asking`), changes as events (`live`), stores
(`stores`), the OpenAPI document and its pages (`description`). `app` puts all of it together, `http` answers the
questions, `operations` asks the monitor. The interface knows neither Kafka nor Faust, so it stays up while workers
rebalance.
"""
