"""A plausible network of chargers, for trying things out: its records, sent to the source topics as other teams would send them.

`network` (who there is) > `plan` and `live` (what they do, pure) > `send` and `run` (to Kafka, at a pace) > `shown` and `report` (what came
out). Invariant: it knows the source topics and the results as everybody outside does, and nothing of how one becomes the other.
"""
