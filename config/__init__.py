"""Settings: every one once, in defaults.toml, with its unit and why."""
