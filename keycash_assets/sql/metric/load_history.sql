-- The metric holds every load up to now. Parameter: $changed_at.
UPDATE load_history SET credit_per_day_at = $changed_at WHERE credit_per_day_at IS NULL
