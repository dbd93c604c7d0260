DELETE FROM latest_requests
USING latest_request_changes
WHERE latest_requests.id_hash = latest_request_changes.id_hash AND latest_requests.id = latest_request_changes.id
