SELECT max(started_at) AS started_at FROM load_history
