"""The server: takes prompts over gRPC, hands them to a model, answers."""

__version__ = "0.1.0"
