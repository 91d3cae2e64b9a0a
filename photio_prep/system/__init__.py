"""system: see docs/design/architecture.md."""
