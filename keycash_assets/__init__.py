"""Key Cash credit requests: from files in a bucket to daily totals, each traceable to a line."""
