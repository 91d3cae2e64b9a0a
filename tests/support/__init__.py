"""What tests share: goldens, harnesses, stand-ins."""
