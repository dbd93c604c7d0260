-- Credit asked for per day, where only each client's most recent request counts.
CREATE TABLE IF NOT EXISTS credit_per_day (
    data_solicitada DATE, -- day of the requests, unique
    credito_solicitado DECIMAL(38, 2), -- sum of the credit asked for, in BRL
    requests BIGINT -- number of requests that count
)
