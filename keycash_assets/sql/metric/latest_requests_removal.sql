DELETE FROM latest_requests WHERE id_hash IN (SELECT id_hash FROM latest_request_changes)
