"""cutout.models: see docs/design/architecture.md."""
