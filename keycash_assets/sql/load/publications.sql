INSERT INTO publications VALUES ($published_at, $run_id)
