"""The interface described: models and examples, the OpenAPI document made of these (`reference`), and the pages that show it."""
