"""The interface described: models, examples, the OpenAPI document (`reference`), and the pages that show it."""
