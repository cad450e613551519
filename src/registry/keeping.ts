// Buckets that keep nothing of what is overwritten or removed: there a generation fetches the bytes only as long as they are the current ones, and pins nothing.
import type { Keeping } from '../model/lifecycle.ts'
import type { Statements } from './database.ts'

/** The locations that lie in such buckets. Of GCS alone: the pin of S3 is a version that is kept whatever the bucket does with later ones. */
export const UNKEPT = 'SELECT id FROM location WHERE keeps = 0'

/** Writes down what is known of buckets: of all that lies in them. */
export async function learn(tx: Statements, known: readonly Keeping[]): Promise<void> {
  for (const { location: { scheme, bucket, endpoint = null }, keepsVersions } of known)
    await tx.all(
      `UPDATE location SET keeps = :keeps WHERE keeps IS NOT :keeps
         AND iif(json_valid(json), json ->> 'scheme' = :scheme AND json ->> 'bucket' = :bucket AND json ->> 'endpoint' IS :endpoint, false)`,
      { keeps: keepsVersions ? 1 : 0, scheme, bucket, endpoint },
    )
}

/** What the commit of `number` closed in such buckets is lost with it; the audit, which asks for it by name, may find it kept. */
export async function loseUnkept(tx: Statements, collection: number, number: number): Promise<void> {
  await tx.all(
    `INSERT INTO fate(collection, path, since, until, fate, pinned)
     SELECT collection, path, since, until, 'lost', 1 FROM past WHERE collection = :collection AND until = :number AND location IN (${UNKEPT}) AND pin IS NOT NULL
     ON CONFLICT DO UPDATE SET fate = 'lost', gone_at = NULL WHERE fate.fate = 'risk'`,
    { collection, number },
  )
}
