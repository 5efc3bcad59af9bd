"""Several replicas for real: who gets the load, and what a restart, a death and a new one cost."""
