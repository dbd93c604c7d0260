-- What each object's rows say, in one number, whatever their order: a full load compares it before and after.
CREATE OR REPLACE TEMP TABLE object_digests AS
SELECT
    object_key,
    object_etag,
    sum(hash(id, name, idade, credito_solicitado, data_solicitacao, extra, record, problems, record_index)) AS digest
FROM landing_table
GROUP BY object_key, object_etag
