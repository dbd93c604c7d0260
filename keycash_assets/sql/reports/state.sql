-- The published state in one row.
SELECT
    (SELECT max(published_at) FROM publications) AS published_at,
    (SELECT max_by(run_id, published_at) FROM publications) AS run_id,
    (SELECT count(*) FROM landing_table) AS records,
    (SELECT count(*) FROM landing_table WHERE problems IS NOT NULL) AS problem_records,
    (SELECT count(*) FROM quarantine) AS quarantined,
    (SELECT count(*) FROM credit_per_day) AS days,
    (SELECT coalesce(sum(credito_solicitado), 0) FROM credit_per_day) AS total,
    (SELECT coalesce(sum(requests), 0) FROM credit_per_day) AS requests
