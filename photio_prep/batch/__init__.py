"""batch: see docs/design/architecture.md."""
