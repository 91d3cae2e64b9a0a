"""imaging: see docs/design/architecture.md."""
