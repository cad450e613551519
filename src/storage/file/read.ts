import type { Listed } from '../../model/entry.ts'
import type { Found } from '../storage.ts'
import { DIGEST_BYTES, FIELDS, listedOf, OUTCOMES } from './block.ts'
import type { Outcome } from './block.ts'
import { flow } from './flow.ts'
import type { Hands } from './hands.ts'
import type { Read } from './pack.ts'

// Files per task, and bytes from which on four files are enough for one: some 10 ms, so that workers share the work and a walk goes on between.
const FILES_MOST = 128
const BYTES_ENOUGH = 8 * 1024 * 1024
const FILES_LEAST = 4

type Batches = AsyncGenerator<readonly Found[]>

/** Hashes what a walk listed, in batches as they are done: each file once. */
export function inspectAll(hands: Hands, prefix: string, listed: readonly Listed[], racyFrom: bigint, signal: AbortSignal): Batches {
  const share = Math.max(FILES_LEAST, Math.min(FILES_MOST, Math.ceil(listed.length / hands.width)))
  let at = 0
  const next = (): Promise<readonly Found[]> | undefined => {
    const batch: Listed[] = []
    for (let bytes = 0; at < listed.length && batch.length < share && (bytes < BYTES_ENOUGH || batch.length < FILES_LEAST); at++) {
      const one = listed[at] as Listed
      batch.push(one)
      bytes += one.sizeBytes
    }
    if (batch.length === 0) return undefined
    const sizes = Float64Array.from(batch, ({ sizeBytes }) => sizeBytes)
    const fingerprints = batch.map(({ fingerprint }) => fingerprint ?? '').join('\0')
    const paths = batch.map(({ path }) => path).join('\0')
    return hands
      .read({ kind: 'read', prefix, paths, seen: { sizes, fingerprints } })
      .then((answer) => batch.map((one, index) => foundOf(one.path, answer, index, racyFrom, one)))
  }
  return flow(next, hands.width, signal)
}

/** Looks at `paths`, of which nothing is known, and hashes what is there: each once, in batches as they are done. */
export function findAll(hands: Hands, prefix: string, paths: readonly string[], racyFrom: bigint, signal: AbortSignal): Batches {
  let at = 0
  const next = (): Promise<readonly Found[]> | undefined => {
    const batch = paths.slice(at, (at += FILES_MOST))
    if (batch.length === 0) return undefined
    return hands
      .read({ kind: 'read', prefix, paths: batch.join('\0') })
      .then((answer) => batch.map((path, index) => foundOf(path, answer, index, racyFrom)))
  }
  return flow(next, hands.width, signal)
}

function foundOf(path: string, answer: Read, index: number, racyFrom: bigint, seen?: Listed): Found {
  const outcome = OUTCOMES[answer.outcomes[index] as number] as Outcome
  if (outcome === 'torn' || outcome === 'absent' || outcome === 'directory') return { kind: outcome, path }
  if (outcome !== 'read' && outcome !== 'as-seen') return { kind: 'skipped', skip: { path, reason: outcome } }
  const { sizeBytes, fingerprint } = outcome === 'as-seen' && seen !== undefined ? seen : listedOf(path, answer.numbers, index * FIELDS, racyFrom)
  const content = { digest: `md5:${Buffer.from(answer.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)).toString('base64')}` }
  return { kind: 'entry', listed: fingerprint === undefined ? { path, sizeBytes, content } : { path, sizeBytes, fingerprint, content } }
}
