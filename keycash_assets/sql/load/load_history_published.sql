-- Readers see every load up to now. Parameter: $published_at.
UPDATE load_history SET published_at = $published_at WHERE published_at IS NULL
