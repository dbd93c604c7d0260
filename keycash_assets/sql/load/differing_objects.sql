-- Objects of unchanged version whose rows before the full load were not those that it made.
SELECT before_load.object_key
FROM object_digests AS before_load
INNER JOIN object_ledger
    ON before_load.object_key = object_ledger.object_key AND before_load.object_etag = object_ledger.object_etag
LEFT JOIN (
    SELECT
        object_key,
        sum(hash(id, name, idade, credito_solicitado, data_solicitacao, extra, record, problems, record_index)) AS digest
    FROM landing_table
    GROUP BY object_key
) AS after_load ON before_load.object_key = after_load.object_key
WHERE object_ledger.status NOT IN ('replaced', 'deleted') AND before_load.digest IS DISTINCT FROM after_load.digest
ORDER BY before_load.object_key
