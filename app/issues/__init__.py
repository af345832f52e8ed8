"""Issues: groups of events. Grouping decides which; the tables count them."""
