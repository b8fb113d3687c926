"""Makes the failures of a data platform happen on the stand-ins: `make scenario` and `make soak`."""
