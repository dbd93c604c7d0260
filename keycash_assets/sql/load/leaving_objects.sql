-- Objects whose older rows leave. Parameters: $retract, whether the rows of deleted objects leave as well.
CREATE OR REPLACE TEMP TABLE leaving_objects AS
SELECT object_key FROM arriving_objects WHERE status <> 'unchanged'
UNION
SELECT object_key FROM object_ledger WHERE status = 'deleted' AND $retract
