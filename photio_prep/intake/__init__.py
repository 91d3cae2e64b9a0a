"""intake: see docs/design/architecture.md."""
