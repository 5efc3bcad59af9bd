"""Are the sums of a thousand replicas those of one that saw everything? (docs/scaling.md)."""
