"""What exists: workspaces, sources, destinations and connections, from the config file and from requests."""
