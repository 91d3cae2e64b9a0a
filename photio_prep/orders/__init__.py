"""orders: see docs/design/architecture.md."""
