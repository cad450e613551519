// Rows that a commit closed because nobody looks at their places any more: that says nothing of their bytes.
import { bucketIdentity, lonePath } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Statements } from './database.ts'
import type { Point } from './fallout.ts'
import { UNKEPT } from './keeping.ts'
import { placesOf } from './places.ts'
import { UNPINNED } from './restorability.ts'

export interface Move {
  readonly collection: number
  /** The version that this commit makes. */
  readonly number: number
  /** What it looked at, and what the one before it had looked at. */
  readonly location: number
  readonly lay: number | null
}

/**
 * Of what this commit closed without a pin that lasts, at places that it did not look at, the fate is `left`; what was left before, at places that it looked at again, is as any other. Answers the
 * latter. `lone` are the paths of places that turned out to be one object: nothing under their names was looked at.
 */
export async function writeLeft(tx: Statements, { collection, number, location, lay }: Move, whole: boolean, lone: readonly string[]): Promise<readonly Point[]> {
  const places = await placesOf(tx, location)
  // Else the places are what they were, and each of them a prefix as before.
  if (location === lay && !(whole && places.some(({ scheme, object }) => object !== undefined && (scheme === 's3' || scheme === 'gs')))) return []
  const again: Point[] = []
  const left = `fate f JOIN past p ON p.collection = f.collection AND p.path = f.path AND p.since = f.since WHERE f.collection = :collection AND f.fate = 'left'`
  for (const { seen, id } of await seenOf(tx, `FROM ${left}`, { collection }, places, lone))
    again.push(...(await tx.all<Point>(
      `DELETE FROM fate WHERE collection = :collection AND fate = 'left' AND (path, since) IN (SELECT p.path, p.since FROM ${left} AND p.location = :id AND ${SEEN}) RETURNING collection, path, since`,
      { collection, id, seen },
    )))
  const closed = `FROM past p WHERE collection = :collection AND until = :number AND (${UNPINNED} OR location IN (${UNKEPT}))`
  for (const { seen, id } of await seenOf(tx, closed, { collection, number }, places, lone))
    await tx.all(
      `INSERT INTO fate(collection, path, since, until, fate, pinned) SELECT collection, path, since, until, 'left', pin IS NOT NULL ${closed} AND location = :id AND NOT ${SEEN}
       ON CONFLICT DO UPDATE SET fate = 'left', gone_at = NULL WHERE fate.fate = 'risk'`,
      { collection, number, id, seen },
    )
  return again
}

// A row of `p` that one of `:seen` covers: a folder of paths (all of them where it is empty), a path, or the object that the location itself names.
const SEEN = `EXISTS (SELECT 1 FROM json_each(:seen) s WHERE CASE s.value ->> 0
  WHEN 'lone' THEN p.lone WHEN 'path' THEN NOT p.lone AND p.path = s.value ->> 1 ELSE NOT p.lone AND substr(p.path, 1, length(s.value ->> 1)) = s.value ->> 1 END)`

type Seen = readonly ['folder' | 'path' | 'lone', string]

/** Of each location that rows lie at: what of it `places` cover. */
async function seenOf(
  tx: Statements, rows: string, named: Readonly<Record<string, number>>, places: readonly Location[], lone: readonly string[],
): Promise<readonly { readonly id: number; readonly seen: string }[]> {
  const found = await tx.all<{ id: number; json: string }>(`SELECT id, json FROM location WHERE id IN (SELECT DISTINCT p.location ${rows})`, named)
  return found.map(({ id, json }) => {
    const old = JSON.parse(json) as Location
    return { id, seen: JSON.stringify(places.flatMap((place) => coverOf(old, place, place.object !== undefined && lone.includes(lonePath(place))))) }
  })
}

function coverOf(old: Location, place: Location, isObject: boolean): readonly Seen[] {
  if (bucketIdentity(old) !== bucketIdentity(place)) return []
  const { prefix, object } = place
  const at = old.at ?? ''
  const seen: Seen[] = []
  // Of a location without a slash the object is asked for by name, be it there or not.
  if (object !== undefined && object.startsWith(old.prefix)) seen.push(['path', at + object.slice(old.prefix.length)])
  if (old.object !== undefined && (old.object === object || (!isObject && old.object.startsWith(prefix)))) seen.push(['lone', ''])
  if (isObject) return seen
  if (old.prefix.startsWith(prefix)) seen.push(['folder', ''])
  else if (prefix.startsWith(old.prefix)) seen.push(['folder', at + prefix.slice(old.prefix.length)])
  return seen
}
