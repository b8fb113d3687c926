"""Watches the platform from outside its runs, and tells each incident once when it begins and once when it is over."""
