/** `hearing` is what its sources say of how they hear, by their names. `place` tells which path belongs to which location, where a watch has several: `start` ≤ path < `before`. `whole` is the location that stands for all of them. */
export const PLACES = `
ALTER TABLE watch ADD COLUMN hearing TEXT NOT NULL DEFAULT '{}';
CREATE TABLE place(
  whole INTEGER NOT NULL, start TEXT NOT NULL, before TEXT NOT NULL, location INTEGER NOT NULL, PRIMARY KEY (whole, start)) STRICT, WITHOUT ROWID;
`
