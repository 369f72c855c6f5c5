"""The HTTP interface: who may ask (`guard`), what is asked and answered (`asking`), changes as events (`live`), from which stores (`stores`).

`description` is the OpenAPI document and its pages; `app` puts all of it together, `http` answers the four questions, `operations` asks the
monitor. The interface reads what the sinks wrote, and never Kafka or Faust, so it stays up while workers rebalance.
"""
