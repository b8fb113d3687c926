"""Programs that run beside the flows. The platform's code talks to them only over the network."""
