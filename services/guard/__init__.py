"""Protect the platform's servers from foreign web pages and from request bodies of unlimited size."""
