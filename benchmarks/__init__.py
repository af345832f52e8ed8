"""Measurements of the cost and the robustness of the service: `make bench`, `make chaos`."""
