"""Programs that run beside the flows, and the code they share. Flows and blocks talk to them only over the network."""
