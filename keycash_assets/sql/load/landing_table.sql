-- Types the verbatim records of arriving_records and says why one cannot count.
-- Parameters: $loaded_at, $run_id, $member (regular expression of a member of an object, its value as group 1).
INSERT INTO landing_table
WITH fields AS (
    SELECT
        object_key,
        object_etag,
        record_index,
        record,
        CASE WHEN starts_with(record, '{') THEN 'OBJECT' ELSE json_type(record) END AS record_type,
        CASE WHEN record_type = 'OBJECT' THEN json_keys(record) ELSE [] END AS keys,
        CASE WHEN list_contains(keys, 'data_solicitacao') THEN 'data_solicitacao' ELSE 'data_solicitada' END AS date_key,
        ['id', 'name', 'idade', 'credito_solicitado', date_key] AS known_keys,
        -- Nearly every record has just these fields in this order: the lists are gone through only where one has not.
        keys = known_keys AS is_usual,
        CASE
            WHEN is_usual THEN []
            ELSE list_filter(keys, lambda key: NOT list_contains(known_keys, key))
        END AS other_keys,
        CASE
            WHEN is_usual THEN []
            ELSE list_filter(known_keys, lambda known: len(list_filter(keys, lambda key: key = known)) > 1)
        END AS duplicate_keys,
        json_type(record, ['id', 'name', 'idade', 'credito_solicitado', 'data_solicitacao', 'data_solicitada']) AS types,
        json_extract_string(record, ['id', 'name', 'idade', 'credito_solicitado', 'data_solicitacao', 'data_solicitada']) AS texts
    FROM arriving_records
),

-- DuckDB reads numbers with a fraction or an exponent as DOUBLE: their digits are taken from the text itself.
verbatim AS (
    SELECT
        *,
        types[4] AS amount_type,
        CASE WHEN date_key = 'data_solicitacao' THEN types[5] ELSE types[6] END AS date_type,
        CASE WHEN date_key = 'data_solicitacao' THEN texts[5] ELSE texts[6] END AS date_text,
        CASE
            WHEN record_type = 'OBJECT' AND (amount_type = 'DOUBLE' OR len(other_keys) > 0)
                THEN regexp_extract_all(record, $member, 0)
        END AS members,
        -- A record that nests more deeply than $member follows holds more brackets than levels. Only then is it looked
        -- at again: of a member that $member cannot take in whole, something stays when all that it finds is taken out.
        CASE
            WHEN members IS NULL OR length(record) - length(translate(record, '[{', '')) <= 65 THEN TRUE
            ELSE regexp_full_match(regexp_replace(record, $member, '', 'g'), '[{},\s]*')
        END AS members_are_complete
    FROM fields
),

numbers AS (
    SELECT
        *,
        CASE
            WHEN amount_type IN ('BIGINT', 'UBIGINT') THEN texts[4]
            WHEN amount_type = 'VARCHAR' AND regexp_full_match(texts[4], '[0-9]+(\.[0-9]+)?') THEN texts[4]
            WHEN amount_type = 'DOUBLE' AND members_are_complete
                THEN regexp_extract(members[list_position(keys, 'credito_solicitado')], $member, 1)
        END AS amount_text,
        -- Neither sign nor fraction nor exponent, and not too large: most amounts.
        amount_type = 'UBIGINT' AND length(amount_text) <= 16 AS is_whole_amount,
        CASE WHEN NOT is_whole_amount THEN regexp_extract(
            amount_text,
            '^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$',
            ['sign', 'whole', 'fraction', 'exponent']
        ) END AS parts,
        -- An exponent beyond INTEGER is as good as a million: too small or too large either way.
        CASE
            WHEN parts['exponent'] = '' THEN 0
            ELSE coalesce(
                TRY_CAST(parts['exponent'] AS INTEGER), CASE WHEN parts['exponent'] LIKE '-%' THEN -1000000 ELSE 1000000 END
            )
        END AS exponent,
        rtrim(parts['whole'] || parts['fraction'], '0') AS significant,
        ltrim(significant, '0') AS digits,
        -- Decimals of the number without its trailing zeros; negative where it ends in zeros before the point.
        length(parts['fraction']) - exponent - (length(parts['whole']) + length(parts['fraction']) - length(significant)) AS scale
    FROM verbatim
),

amounts AS (
    SELECT
        *,
        CASE
            WHEN amount_text IS NULL OR is_whole_amount OR digits = '' THEN NULL
            WHEN parts['sign'] = '-' THEN 'negative'
            WHEN scale > 2 THEN 'more than two decimals'
            WHEN length(digits) - scale > 16 THEN 'too large'
        END AS amount_fault,
        CASE
            WHEN amount_text IS NULL OR amount_fault IS NOT NULL THEN NULL
            WHEN is_whole_amount THEN amount_text || '00'
            WHEN digits = '' THEN '000'
            ELSE lpad(digits || repeat('0', (2 - scale)::INTEGER), greatest(length(digits) + 2 - scale, 3)::INTEGER, '0')
        END AS cents
    FROM numbers
),

dates AS (
    SELECT
        *,
        date_type = 'VARCHAR'
        AND regexp_full_match(date_text, '[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2})?') AS is_usual_date,
        CASE WHEN date_type = 'VARCHAR' AND NOT is_usual_date THEN regexp_extract(
            date_text,
            '^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(?:(:[0-5][0-9])(\.[0-9]{3})?)?(?:(Z)|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?)?$',
            ['day', 'minute', 'second', 'fraction', 'utc', 'sign', 'offset_hours', 'offset_minutes']
        ) END AS iso,
        CASE
            WHEN is_usual_date
                THEN try_strptime(date_text, ['%m/%d/%Y %H:%M', '%m/%d/%Y %H:%M:%S'])
            WHEN iso['day'] <> ''
                THEN TRY_CAST(
                    concat(
                        iso['day'], ' ', coalesce(nullif(iso['minute'], ''), '00:00'), coalesce(nullif(iso['second'], ''), ':00'), iso['fraction']
                    ) AS TIMESTAMP
                )
        END AS written,
        CASE
            WHEN iso['utc'] <> '' OR iso['sign'] <> '' THEN timezone(
                'America/Sao_Paulo',
                timezone(
                    'UTC',
                    written - to_minutes(
                        CASE WHEN iso['sign'] = '-' THEN -1 ELSE 1 END
                        * (
                            60 * coalesce(TRY_CAST(iso['offset_hours'] AS INTEGER), 0)
                            + coalesce(TRY_CAST(iso['offset_minutes'] AS INTEGER), 0)
                        )
                    )
                )
            )
            ELSE written
        END AS moment,
        CASE WHEN year(written) > 0 AND year(moment) BETWEEN 1 AND 9999 THEN moment END AS requested_at
    FROM amounts
),

judged AS (
    SELECT
        *,
        CASE
            WHEN is_usual AND types[1] = 'VARCHAR' AND texts[1] <> '' AND cents IS NOT NULL AND requested_at IS NOT NULL
                THEN []
            WHEN record_type <> 'OBJECT' THEN ['not an object: ' || left(record, 80)]
            ELSE list_filter(
                [
                    CASE WHEN len(duplicate_keys) > 0 THEN 'duplicate field: ' || array_to_string(duplicate_keys, ', ') END,
                    CASE
                        WHEN types[1] IS NULL THEN 'id: missing'
                        WHEN types[1] <> 'VARCHAR' THEN concat('id: not a string: ', left((record -> 'id')::VARCHAR, 80))
                        WHEN texts[1] = '' THEN 'id: empty'
                    END,
                    CASE
                        WHEN amount_type IS NULL THEN 'credito_solicitado: missing'
                        WHEN amount_type = 'DOUBLE' AND NOT members_are_complete
                            THEN 'credito_solicitado: nested too deeply to be read exactly'
                        WHEN amount_text IS NULL
                            THEN concat('credito_solicitado: not a number: ', left((record -> 'credito_solicitado')::VARCHAR, 80))
                        WHEN amount_fault IS NOT NULL
                            THEN concat('credito_solicitado: ', amount_fault, ': ', left(amount_text, 80))
                    END,
                    CASE
                        WHEN date_type IS NULL THEN 'data_solicitacao: missing'
                        WHEN requested_at IS NULL
                            THEN concat(date_key, ': not a date: ', left((record -> date_key)::VARCHAR, 80))
                    END
                ],
                lambda problem: problem IS NOT NULL
            )
        END AS found_problems
    FROM dates
)

SELECT
    CASE WHEN types[1] = 'VARCHAR' THEN texts[1] END AS id,
    CASE WHEN types[2] = 'VARCHAR' THEN texts[2] END AS name,
    CASE WHEN types[3] IN ('BIGINT', 'UBIGINT') THEN TRY_CAST(texts[3] AS BIGINT) END AS idade,
    TRY_CAST(left(cents, -2) || '.' || right(cents, 2) AS DECIMAL(18, 2)) AS credito_solicitado,
    requested_at AS data_solicitacao,
    CASE
        WHEN len(other_keys) = 0 THEN NULL
        WHEN members_are_complete
            THEN concat(
                '{',
                array_to_string(
                    list_filter(members, lambda member, position: list_contains(other_keys, keys[position])), ', '
                ),
                '}'
            )
        ELSE json_merge_patch(
            record, '{"id": null, "name": null, "idade": null, "credito_solicitado": null}', json_object(date_key, NULL)
        )
    END AS extra,
    record,
    CASE WHEN len(found_problems) > 0 THEN found_problems END AS problems,
    object_key,
    object_etag,
    record_index,
    $loaded_at AS loaded_at,
    $run_id AS run_id
FROM judged
