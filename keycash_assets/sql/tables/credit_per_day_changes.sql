-- Restatement log, append-only: each change of a day's total, and the files that caused it.
CREATE TABLE IF NOT EXISTS credit_per_day_changes (
    changed_at TIMESTAMPTZ, -- when the total changed
    run_id VARCHAR, -- Dagster run in which it did
    data_solicitada DATE, -- the day
    old_credito_solicitado DECIMAL(38, 2), -- total before, NULL if the day had none
    new_credito_solicitado DECIMAL(38, 2), -- total after, NULL if the day has none any more
    object_keys VARCHAR[] -- files whose arrival, change or removal caused it
)
