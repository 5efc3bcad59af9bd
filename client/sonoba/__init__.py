"""Client of sonoba: in-context predictions over gRPC."""

__version__ = "0.1.0"
