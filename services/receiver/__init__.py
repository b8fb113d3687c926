"""A local stand-in for Slack, Teams or another receiver of alerts. It stores messages, and `make alerts` shows them."""
