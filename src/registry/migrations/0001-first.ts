/**
 * `head` holds the entries of each newest version, `past` those that a later version closed: so reads of the head never pay for history. A row is valid for `[since, until)`.
 * Text orders by its UTF-8 bytes. `version.number` is its index; `collection.next` is the number that the next version gets, and no number comes back.
 */
export const FIRST = `
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('id', lower(hex(randomblob(8))));

CREATE TABLE entity(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE project(id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (entity, name)) STRICT;
CREATE TABLE location(id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;
CREATE TABLE run(id INTEGER PRIMARY KEY, project INTEGER NOT NULL, name TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;

CREATE TABLE collection(
  id INTEGER PRIMARY KEY, project INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
  next INTEGER NOT NULL DEFAULT 0, head INTEGER, entries INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, digest TEXT,
  location INTEGER, signed_by TEXT, UNIQUE (project, name)) STRICT;

CREATE TABLE version(
  collection INTEGER NOT NULL, number INTEGER NOT NULL, run INTEGER NOT NULL, created_at INTEGER NOT NULL, cause TEXT NOT NULL, digest TEXT NOT NULL,
  entries INTEGER NOT NULL, size INTEGER NOT NULL, changes TEXT NOT NULL, certificate TEXT NOT NULL, description TEXT,
  PRIMARY KEY (collection, number)) STRICT;
CREATE TABLE alias(collection INTEGER NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (collection, name)) STRICT, WITHOUT ROWID;

CREATE TABLE head(
  collection INTEGER NOT NULL, path TEXT NOT NULL, since INTEGER NOT NULL, location INTEGER NOT NULL, lone INTEGER NOT NULL,
  size INTEGER NOT NULL, digest TEXT NOT NULL, identity TEXT NOT NULL, etag TEXT, pin TEXT, latest_pin TEXT, checksums TEXT, fingerprint TEXT,
  PRIMARY KEY (collection, path)) STRICT, WITHOUT ROWID;
CREATE INDEX head_begun ON head(collection, since) WHERE since > 0;

CREATE TABLE past(
  collection INTEGER NOT NULL, path TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, location INTEGER NOT NULL, lone INTEGER NOT NULL,
  size INTEGER NOT NULL, digest TEXT NOT NULL, identity TEXT NOT NULL, etag TEXT, pin TEXT, latest_pin TEXT, checksums TEXT,
  PRIMARY KEY (collection, path, since)) STRICT, WITHOUT ROWID;
CREATE INDEX past_begun ON past(collection, since) WHERE since > 0;
CREATE INDEX past_ended ON past(collection, until);

CREATE TABLE skip(
  collection INTEGER NOT NULL, path TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, reason TEXT NOT NULL,
  PRIMARY KEY (collection, path, since)) STRICT, WITHOUT ROWID;
CREATE INDEX skip_open ON skip(collection, path, reason) WHERE until IS NULL;
CREATE TABLE directory(collection INTEGER NOT NULL, path TEXT NOT NULL, signature TEXT, PRIMARY KEY (collection, path)) STRICT, WITHOUT ROWID;

CREATE TABLE watch(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, enrolled INTEGER NOT NULL, collection INTEGER NOT NULL, location INTEGER NOT NULL, former INTEGER,
  run INTEGER NOT NULL, config TEXT NOT NULL, aliases TEXT NOT NULL,
  generation INTEGER NOT NULL DEFAULT 0, committed INTEGER NOT NULL DEFAULT 0, epoch INTEGER NOT NULL DEFAULT 0, owner TEXT, lease_until INTEGER,
  state TEXT NOT NULL DEFAULT 'clean', reason TEXT, action TEXT, first_hint_at INTEGER, hinted_since INTEGER, last_hint_at INTEGER,
  retry_at INTEGER, attempts INTEGER NOT NULL DEFAULT 0, last_scan_at INTEGER, last_scan_ms INTEGER, last_look TEXT, root TEXT, memo TEXT,
  reconcile_found INTEGER NOT NULL DEFAULT 0, held_digest TEXT, held_root TEXT, held_look INTEGER, accepted_look INTEGER, accepted_root TEXT) STRICT;
CREATE INDEX watch_collection ON watch(collection) WHERE enrolled;
CREATE TABLE request(
  watch INTEGER NOT NULL, path TEXT NOT NULL, generation INTEGER NOT NULL, strength INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (watch, path)) STRICT, WITHOUT ROWID;

CREATE TABLE look(
  id INTEGER PRIMARY KEY AUTOINCREMENT, watch INTEGER, epoch INTEGER NOT NULL, owner TEXT, collection INTEGER NOT NULL, location INTEGER NOT NULL,
  base INTEGER, run INTEGER NOT NULL, signs_as TEXT NOT NULL, aliases TEXT NOT NULL, description TEXT, begun_at INTEGER NOT NULL) STRICT;
CREATE INDEX look_watch ON look(watch);
CREATE TABLE scratch(
  look INTEGER NOT NULL, path TEXT NOT NULL, op TEXT NOT NULL, since INTEGER, location INTEGER, lone INTEGER,
  size INTEGER, digest TEXT, identity TEXT, etag TEXT, pin TEXT, latest_pin TEXT, checksums TEXT, fingerprint TEXT, old_size INTEGER, old_identity TEXT,
  PRIMARY KEY (look, path)) STRICT, WITHOUT ROWID;
CREATE TABLE scratch_skip(look INTEGER NOT NULL, path TEXT NOT NULL, reason TEXT, PRIMARY KEY (look, path)) STRICT, WITHOUT ROWID;
CREATE TABLE scratch_directory(
  look INTEGER NOT NULL, path TEXT NOT NULL, gone INTEGER NOT NULL, signature TEXT, PRIMARY KEY (look, path)) STRICT, WITHOUT ROWID;
`
