"""Things that run, spoken to over the network only."""
