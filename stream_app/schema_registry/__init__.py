"""A schema registry, by the REST interface that Confluent's, Karapace and Apicurio share: schemas by their ids, and our own contracts registered.

Invariant: what passes by itself is RegistryAwayError, and what does not is one sentence. Knows neither Kafka nor charging.
"""
