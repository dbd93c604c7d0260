-- What is published was checked: nothing that left before it has to be looked at again.
DELETE FROM removed_requests
