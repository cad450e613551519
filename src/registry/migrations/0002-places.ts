/** Which path belongs to which location, where a watch has several: `start` ≤ path < `before`. `whole` is the location that stands for all of them. */
export const PLACES = `
CREATE TABLE place(
  whole INTEGER NOT NULL, start TEXT NOT NULL, before TEXT NOT NULL, location INTEGER NOT NULL, PRIMARY KEY (whole, start)) STRICT, WITHOUT ROWID;
`
