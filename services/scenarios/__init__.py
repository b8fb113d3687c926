"""Ways in which a data platform fails, made to happen on the stand-ins: `make scenario` and `make soak`."""
