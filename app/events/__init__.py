"""Events and the envelopes that they arrived in: tables, filters and queries."""
