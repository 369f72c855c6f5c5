"""Access: tokens and their keys (`auth`, `jwks`), rate limit (`rate`, `rate_window`), checks (`admission`)."""
