"""What people type: the verbs of the Makefile. `commands/compose` and `commands/embedded` run the platform."""
