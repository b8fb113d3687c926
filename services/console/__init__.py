"""The page that shows how the platform is: read-only, for people; docs/page.md."""
