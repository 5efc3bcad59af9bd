"""What is done to the service on purpose: damaged requests for minutes, mixed load for longer."""
