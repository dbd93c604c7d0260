"""Key Cash credit requests: from files in a bucket to a daily total that can be traced to a line."""
