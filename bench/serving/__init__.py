"""Speed and memory of serving, measured in pairs: `make bench` prints the tables."""
