"""Speed and memory, measured in pairs: `make bench` prints the tables (docs/performance.md)."""
