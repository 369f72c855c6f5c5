"""OpenTelemetry, an extra of the installation: what the ports of tracing are made of. Nothing here is imported where traces are not followed."""
