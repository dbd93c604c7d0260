DELETE FROM latest_requests WHERE id IN (SELECT id FROM latest_request_changes)
