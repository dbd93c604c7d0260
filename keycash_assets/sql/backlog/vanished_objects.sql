-- Objects of the prefix that the ledger knows and a whole listing did not find. Parameter: $prefix.
SELECT object_ledger.object_key
FROM object_ledger
LEFT JOIN listed_objects ON object_ledger.object_key = listed_objects.object_key
WHERE
    object_ledger.status NOT IN ('replaced', 'deleted')
    AND starts_with(object_ledger.object_key, $prefix)
    AND listed_objects.object_key IS NULL
ORDER BY object_ledger.object_key
