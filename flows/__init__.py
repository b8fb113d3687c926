"""The order of work. The code that talks to other systems is in `blocks`."""
