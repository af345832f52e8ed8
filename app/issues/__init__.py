"""Issues: groups of events. Grouping assigns events to issues; the tables count them."""
