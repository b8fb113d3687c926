"""The verbs of the platform in Docker Compose. They run on any Python 3.11 by itself: nothing is installed for them."""
