-- Types the verbatim records of arriving_records and says why one cannot count.
-- Parameters: $loaded_at, $run_id, $member (regular expression of a member of an object, its value as group 1).
INSERT INTO landing_table
WITH objects AS (
    SELECT
        object_key,
        object_etag,
        record_index,
        record,
        CASE WHEN starts_with(record, '{') THEN 'OBJECT' ELSE json_type(record) END AS record_type,
        CASE WHEN record_type = 'OBJECT' THEN json_keys(record) ELSE [] END AS keys,
        -- JSON texts of the fields, the first where one stands twice; NULL for null as for one that is missing.
        json_transform(
            record,
            '{
                "id": "JSON",
                "name": "JSON",
                "idade": "JSON",
                "credito_solicitado": "JSON",
                "data_solicitacao": "JSON",
                "data_solicitada": "JSON"
            }'
        ) AS json
    FROM arriving_records
),

known AS (
    SELECT
        *,
        CASE WHEN list_contains(keys, 'data_solicitacao') THEN 'data_solicitacao' ELSE 'data_solicitada' END AS date_key,
        ['id', 'name', 'idade', 'credito_solicitado', date_key] AS known_keys
    FROM objects
),

-- By itself, as what a lambda reaches out for is computed for each element unless it is a column.
fields AS (
    SELECT
        *,
        -- Nearly every record has just these fields in this order: the lists are gone through only where one has not.
        keys = known_keys AS is_usual,
        CASE
            WHEN is_usual THEN []
            ELSE list_filter(keys, lambda key: NOT list_contains(known_keys, key))
        END AS other_keys,
        CASE
            WHEN is_usual THEN []
            ELSE list_filter(known_keys, lambda known: len(list_filter(keys, lambda key: key = known)) > 1)
        END AS duplicate_keys
    FROM known
),

-- DuckDB reads numbers with a fraction or an exponent as DOUBLE: their digits are taken from the text itself.
verbatim AS (
    SELECT
        *,
        json.credito_solicitado::VARCHAR AS amount,
        CASE WHEN date_key = 'data_solicitacao' THEN json.data_solicitacao ELSE json.data_solicitada END::VARCHAR AS date,
        -- Neither sign nor fraction nor exponent, and not too large: most amounts.
        coalesce(regexp_full_match(amount, '[0-9]{1,16}'), FALSE) AS is_whole_amount,
        CASE WHEN is_whole_amount THEN FALSE ELSE coalesce(regexp_full_match(amount, '-?[0-9]+[.eE].*'), FALSE) END AS is_double,
        CASE
            WHEN record_type = 'OBJECT' AND (is_double OR len(other_keys) > 0)
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
            WHEN is_whole_amount OR regexp_full_match(amount, '-?[0-9]+') THEN amount
            WHEN regexp_full_match(amount, '"[0-9]+(\.[0-9]+)?"') THEN amount ->> '$'
            WHEN is_double AND members_are_complete
                THEN regexp_extract(members[list_position(keys, 'credito_solicitado')], $member, 1)
        END AS amount_text
    FROM verbatim
),

parts AS (
    SELECT
        *,
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
    FROM numbers
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
            WHEN amount_text IS NULL OR is_whole_amount OR amount_fault IS NOT NULL THEN NULL
            WHEN digits = '' THEN '000'
            ELSE lpad(digits || repeat('0', (2 - scale)::INTEGER), greatest(length(digits) + 2 - scale, 3)::INTEGER, '0')
        END AS cents
    FROM parts
),

dates AS (
    SELECT
        *,
        TRY_CAST(
            CASE WHEN is_whole_amount THEN amount ELSE left(cents, -2) || '.' || right(cents, 2) END AS DECIMAL(18, 2)
        ) AS credito_solicitado,
        CASE WHEN starts_with(date, '"') THEN date ->> '$' END AS date_text,
        coalesce(
            regexp_full_match(date_text, '[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2})?'), FALSE
        ) AS is_usual_date,
        CASE WHEN NOT is_usual_date THEN regexp_extract(
            date_text,
            '^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(?:(:[0-5][0-9])(\.[0-9]{3})?)?(?:(Z)|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?)?$',
            ['day', 'minute', 'second', 'fraction', 'utc', 'sign', 'offset_hours', 'offset_minutes']
        ) END AS iso
    FROM amounts
),

written_dates AS (
    SELECT
        *,
        CASE
            WHEN is_usual_date
                THEN try_strptime(date_text, ['%m/%d/%Y %H:%M', '%m/%d/%Y %H:%M:%S'])
            WHEN iso['day'] <> ''
                THEN TRY_CAST(
                    concat(
                        iso['day'], ' ', coalesce(nullif(iso['minute'], ''), '00:00'), coalesce(nullif(iso['second'], ''), ':00'), iso['fraction']
                    ) AS TIMESTAMP
                )
        END AS written
    FROM dates
),

moments AS (
    SELECT
        *,
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
        END AS moment
    FROM written_dates
),

requests AS (
    SELECT
        *,
        CASE WHEN starts_with(json.id, '"') THEN json.id ->> '$' END AS id,
        CASE WHEN year(written) > 0 AND year(moment) BETWEEN 1 AND 9999 THEN moment END AS data_solicitacao
    FROM moments
),

judged AS (
    SELECT
        *,
        CASE
            WHEN is_usual AND id <> '' AND credito_solicitado IS NOT NULL AND data_solicitacao IS NOT NULL THEN []
            WHEN record_type <> 'OBJECT' THEN ['not an object: ' || left(record, 80)]
            ELSE list_filter(
                [
                    CASE WHEN len(duplicate_keys) > 0 THEN 'duplicate field: ' || array_to_string(duplicate_keys, ', ') END,
                    CASE
                        WHEN NOT list_contains(keys, 'id') THEN 'id: missing'
                        WHEN id IS NULL THEN concat('id: not a string: ', left(coalesce(json.id::VARCHAR, 'null'), 80))
                        WHEN id = '' THEN 'id: empty'
                    END,
                    CASE
                        WHEN NOT list_contains(keys, 'credito_solicitado') THEN 'credito_solicitado: missing'
                        WHEN is_double AND NOT members_are_complete
                            THEN 'credito_solicitado: nested too deeply to be read exactly'
                        WHEN amount_text IS NULL
                            THEN concat('credito_solicitado: not a number: ', left(coalesce(amount, 'null'), 80))
                        WHEN amount_fault IS NOT NULL
                            THEN concat('credito_solicitado: ', amount_fault, ': ', left(amount_text, 80))
                    END,
                    CASE
                        WHEN NOT list_contains(keys, date_key) THEN 'data_solicitacao: missing'
                        WHEN data_solicitacao IS NULL
                            THEN concat(date_key, ': not a date: ', left(coalesce(date, 'null'), 80))
                    END
                ],
                lambda problem: problem IS NOT NULL
            )
        END AS found_problems
    FROM requests
)

SELECT
    id,
    CASE WHEN starts_with(json.name, '"') THEN json.name ->> '$' END AS name,
    CASE WHEN regexp_full_match(json.idade, '-?[0-9]+') THEN TRY_CAST(json.idade AS BIGINT) END AS idade,
    credito_solicitado,
    data_solicitacao,
    CASE
        WHEN len(other_keys) = 0 THEN NULL
        WHEN members_are_complete
            THEN concat(
                '{',
                -- In pairs, as a list that a lambda reaches out for is copied for each element.
                array_to_string(
                    list_transform(
                        list_filter(list_zip(members, keys), lambda pair: NOT list_contains(known_keys, pair[2])),
                        lambda pair: pair[1]
                    ),
                    ', '
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
