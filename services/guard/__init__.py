"""Protects every server that the platform starts from web pages and from bodies without a limit."""
