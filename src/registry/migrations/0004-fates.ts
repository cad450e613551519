/**
 * What became of the bytes of rows. A row without pin that a later version closed is lost, and any other is there, unless `fate` says otherwise: `lost` (a pinned one), `elsewhere` (an object
 * version elsewhere has the same bytes), `fading` (the same, and rules will take it: at `gone_at`, where that is known), `mutable` (what now stands elsewhere has them: the open row `refuge_path` of the collection `refuge`), `risk` (rules of its bucket will take it: at
 * `gone_at`, where that is known). `until` is the row's own; `pinned` tells whether it has a pin. `audit.path` is where the pass that runs has come to; `version.told` the state last told of.
 */
export const FATES = `
CREATE TABLE fate(
  collection INTEGER NOT NULL, path TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, fate TEXT NOT NULL, pinned INTEGER NOT NULL, gone_at INTEGER,
  refuge INTEGER, refuge_path TEXT, PRIMARY KEY (collection, path, since)) STRICT, WITHOUT ROWID;
CREATE INDEX fate_ended ON fate(collection, until, since, fate, pinned, gone_at);
CREATE INDEX fate_refuge ON fate(refuge, refuge_path) WHERE refuge IS NOT NULL;
CREATE INDEX past_unpinned ON past(collection, until, since, pin, latest_pin) WHERE pin IS NULL AND latest_pin IS NULL;
CREATE INDEX head_unpinned ON head(collection, since) WHERE pin IS NULL AND latest_pin IS NULL;

CREATE TRIGGER past_went AFTER DELETE ON past WHEN EXISTS (SELECT 1 FROM fate) BEGIN
  DELETE FROM fate WHERE collection = OLD.collection AND path = OLD.path AND since = OLD.since;
END;
CREATE TRIGGER head_went AFTER DELETE ON head WHEN EXISTS (SELECT 1 FROM fate) BEGIN
  DELETE FROM fate WHERE collection = OLD.collection AND path = OLD.path AND since = OLD.since AND until IS NULL;
  UPDATE fate SET fate = 'lost', refuge = NULL, refuge_path = NULL WHERE refuge = OLD.collection AND refuge_path = OLD.path AND pinned;
  DELETE FROM fate WHERE refuge = OLD.collection AND refuge_path = OLD.path;
END;

CREATE TABLE audit(
  collection INTEGER PRIMARY KEY, begun_at INTEGER NOT NULL, path TEXT, since INTEGER, audited_at INTEGER, retry_at INTEGER, notes TEXT NOT NULL DEFAULT '[]',
  unkept INTEGER NOT NULL DEFAULT 0) STRICT;
ALTER TABLE version ADD COLUMN told TEXT;
`
