"""marketplaces: see docs/design/architecture.md."""
