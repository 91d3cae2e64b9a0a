"""cutout: see docs/design/architecture.md."""
