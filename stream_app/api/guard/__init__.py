"""Who may ask, and how often: tokens and their keys (`auth`, `jwks`), the rate limit (`rate`, `rate_window`), the checks of a request (`admission`)."""
