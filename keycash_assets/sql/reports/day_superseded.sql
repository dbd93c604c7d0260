-- The requests superseded by those that make a day's total, and those of this day that another day's superseded.
-- Parameter: $day.
SELECT
    superseded.id,
    superseded.name,
    superseded.credito_solicitado,
    superseded.data_solicitacao,
    superseded.object_key,
    superseded.record_index,
    superseded.superseded_by_key,
    superseded.superseded_by_index
FROM credit_requests AS superseded
INNER JOIN latest_requests AS latest ON superseded.id = latest.id
WHERE
    NOT superseded.is_latest
    AND (superseded.data_solicitacao::DATE = $day OR latest.data_solicitacao::DATE = $day)
ORDER BY superseded.id, superseded.data_solicitacao, superseded.object_key, superseded.record_index
