DELETE FROM credit_per_day WHERE data_solicitada IN (SELECT data_solicitada FROM changed_days)
