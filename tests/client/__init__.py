"""A package, so that its modules may be called what the service's tests are called."""
