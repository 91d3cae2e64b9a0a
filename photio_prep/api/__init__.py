"""api: see docs/design/architecture.md."""
