-- Loads that credit_per_day has not taken in.
SELECT run_id FROM load_history WHERE credit_per_day_at IS NULL ORDER BY started_at
