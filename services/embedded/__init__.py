"""The platform without Docker: its services as processes of this machine. The only part that knows both sides."""
