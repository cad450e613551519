/** `keeps`: whether the bucket of the location keeps what is overwritten or removed as an older version; NULL where that is not known, or where pins say it. Of GCS alone. */
export const KEEPING = `
ALTER TABLE location ADD COLUMN keeps INTEGER;
UPDATE location SET keeps = 0 WHERE iif(json_valid(json), json ->> 'scheme', NULL) = 'gs'
  AND id IN (SELECT c.location FROM collection c JOIN audit a ON a.collection = c.id WHERE a.unkept);
ALTER TABLE audit DROP COLUMN unkept;
`
