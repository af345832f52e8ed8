"""What the service costs, and what it withstands: `make bench`, `make chaos`."""
