"""final: see docs/design/architecture.md."""
