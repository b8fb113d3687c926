"""The read-only page that shows people the platform's state: docs/page.md."""
