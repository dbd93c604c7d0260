-- They are taken out.
DELETE FROM removed_requests
