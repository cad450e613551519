import type { Listed } from '../../model/entry.ts'
import type { Found } from '../storage.ts'
import { FIELDS, listedOf } from './block.ts'
import { flow } from './flow.ts'
import { DIGEST_BYTES } from './hash.ts'
import type { Read, ReadTask } from './hash.ts'
import type { Pool } from './pool.ts'

// Files per task, and bytes from which on four files are enough for one: some 10 ms, so that workers share the work and a walk goes on between.
const FILES_MOST = 128
const BYTES_ENOUGH = 8 * 1024 * 1024
const FILES_LEAST = 4

/** Hashes what a walk listed. Yields each file once, as batches are done. */
export async function* inspectAll(pool: Pool, prefix: string, listed: readonly Listed[], racyFrom: bigint, signal: AbortSignal): AsyncGenerator<Found> {
  const share = Math.max(FILES_LEAST, Math.min(FILES_MOST, Math.ceil(listed.length / pool.width)))
  let at = 0
  const next = (): Promise<readonly Found[]> | undefined => {
    const batch: Listed[] = []
    for (let bytes = 0; at < listed.length && batch.length < share && (bytes < BYTES_ENOUGH || batch.length < FILES_LEAST); at++) {
      batch.push(listed[at] as Listed)
      bytes += (listed[at] as Listed).sizeBytes
    }
    if (batch.length === 0) return undefined
    const seen = { sizes: Float64Array.from(batch, ({ sizeBytes }) => sizeBytes), fingerprints: batch.map(({ fingerprint }) => fingerprint) }
    const task: ReadTask = { kind: 'read', prefix, paths: batch.map(({ path }) => path), seen }
    return pool.read(task).then((answer) => batch.map((one, index) => foundOf(one.path, answer, index, racyFrom, one)))
  }
  for await (const found of flow(next, pool.width, signal)) yield* found
}

/** Looks at `paths`, of which nothing is known, and hashes what is there. Yields each once. */
export async function* findAll(pool: Pool, prefix: string, paths: readonly string[], racyFrom: bigint, signal: AbortSignal): AsyncGenerator<Found> {
  let at = 0
  const next = (): Promise<readonly Found[]> | undefined => {
    const batch = paths.slice(at, (at += FILES_MOST))
    if (batch.length === 0) return undefined
    return pool.read({ kind: 'read', prefix, paths: batch }).then((answer) => batch.map((path, index) => foundOf(path, answer, index, racyFrom)))
  }
  for await (const found of flow(next, pool.width, signal)) yield* found
}

function foundOf(path: string, answer: Read, index: number, racyFrom: bigint, seen?: Listed): Found {
  const outcome = answer.outcomes[index]
  if (outcome === undefined || outcome === 'torn' || outcome === 'absent' || outcome === 'directory') return { kind: outcome ?? 'torn', path }
  if (outcome !== 'read' && outcome !== 'as-seen') return { kind: 'skipped', skip: { path, reason: outcome } }
  const listed = outcome === 'as-seen' && seen !== undefined ? seen : listedOf(path, answer.numbers, index * FIELDS, racyFrom)
  const digest = Buffer.from(answer.digests.buffer, index * DIGEST_BYTES, DIGEST_BYTES).toString('base64')
  return { kind: 'entry', listed: { ...listed, content: { digest: `md5:${digest}` } } }
}
