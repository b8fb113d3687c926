"""Stands in for Slack, Teams or whatever takes alerts: stores the messages, so that `make alerts` can show them."""
