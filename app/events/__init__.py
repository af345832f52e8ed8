"""Events and the envelopes they came in: tables, what writes them, what reads them."""
