/**
 * A run that people name has a `state`; those of watches and of puts without a name have none. `edge` is what such a run used (`output` 0) or made: `live` while the run runs,
 * so that a commit finds in one look-up whether anybody minds. A version's first maker is `version.run`. A removed version keeps its edges: a run did use it.
 * `disturbance` is what the commit of version `until` closed of version `number`; `mark` says which running runs used that one then.
 */
export const LINEAGE = `
ALTER TABLE run ADD COLUMN state TEXT;
ALTER TABLE run ADD COLUMN finished_at INTEGER;
CREATE UNIQUE INDEX run_named ON run(name, project) WHERE state IS NOT NULL;
CREATE TABLE edge(
  run INTEGER NOT NULL, output INTEGER NOT NULL, collection INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, live INTEGER NOT NULL,
  PRIMARY KEY (run, output, collection, number)) STRICT, WITHOUT ROWID;
CREATE INDEX edge_version ON edge(collection, number, output);
CREATE INDEX edge_live ON edge(collection, number) WHERE live;
CREATE TABLE disturbance(
  collection INTEGER NOT NULL, number INTEGER NOT NULL, until INTEGER NOT NULL, at INTEGER NOT NULL, entries INTEGER NOT NULL, paths TEXT NOT NULL,
  PRIMARY KEY (collection, number, until)) STRICT, WITHOUT ROWID;
CREATE TABLE mark(
  run INTEGER NOT NULL, collection INTEGER NOT NULL, number INTEGER NOT NULL, until INTEGER NOT NULL,
  PRIMARY KEY (run, collection, number, until)) STRICT, WITHOUT ROWID;
`
