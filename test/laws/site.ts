// One watch over a real store, looked at by hand: each look is that of a process that has just started.
import { DatabaseSync } from 'node:sqlite'
import { turn } from '../../src/daemon/turn.ts'
import type { LookParts } from '../../src/daemon/daemon.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Watch, WatchState } from '../../src/model/watch.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { openFileStore } from '../../src/storage/file/store.ts'
import { openGcsStore } from '../../src/storage/gcs/store.ts'
import { openS3Store } from '../../src/storage/s3/store.ts'
import type { Span } from '../../src/storage/storage.ts'
import { watchOf } from '../suite/registry-world.ts'
import { lookPartsOf, realClock, storesWith, versionsOf } from './world.ts'

/** What a defect does to the parts of a look. */
export type PartsRefit = (parts: LookParts) => LookParts

export interface Looked {
  readonly versions: number
  readonly state: WatchState | undefined
  readonly reason: string | undefined
  readonly action: string | undefined
}

export interface Site {
  readonly registry: Registry
  readonly watch: Watch
  /** Looks at the whole, or at these paths alone. */
  look(...paths: readonly string[]): Promise<Looked>
  accept(): Promise<void>
}

const going = new AbortController().signal

/** `aheadMs`: how old what was just written looks; from 2 s on it is not racy. */
export async function siteOf(over: Partial<Watch>, openStore: LookParts['openStore'], refit: PartsRefit = (parts) => parts, aheadMs = 60_000): Promise<Site> {
  const database = new DatabaseSync(':memory:')
  let registry = await openRegistryIn(database)
  const watch = watchOf({ settleMs: 1, ...over })
  const clock = realClock(aheadMs)
  await registry.enroll([watch], clock.now())
  return {
    watch,
    get registry() {
      return registry
    },
    async look(...paths) {
      registry = await openRegistryIn(database)
      await registry.enroll([watch], clock.now())
      await registry.request((paths.length > 0 ? paths : ['*']).map((path) => ({ watch: watch.name, path, cause: 'cli' })), clock.now())
      await turn(refit(lookPartsOf(registry, clock, openStore)), watch, going)
      const row = await registry.watchRow(watch.name)
      return { versions: (await versionsOf(registry)).length, state: row?.state, reason: row?.reason, action: row?.action }
    },
    accept: () => registry.accept(watch.name, clock.now()),
  }
}

/** A site over the files below `root`, which ends in `/`. */
export function fileSite(root: string, over: Partial<Watch> = {}, refit?: PartsRefit, aheadMs?: number): Promise<Site> {
  return siteOf({ locations: [parseLocation(root, '/')], ...over }, ({ locations: [location], guard: { rootMarker } }) => openFileStore(location, { clockSlackMs: 0, ...(rootMarker !== undefined && { rootMarker }) }), refit, aheadMs)
}

/** A site over `key` in the bucket of a fake S3. */
export function s3Site(endpoint: string, key: string, over: Partial<Watch> = {}, refit?: PartsRefit): Promise<Site> {
  const location = { ...parseLocation(`s3://fake/${key}`, '/'), endpoint }
  return siteOf({ locations: [location], s3: { endpoint, region: 'us-east-1' }, events: { kind: 'sqs', url: 'none' }, ...over }, (watch, memo) => openS3Store(watch.locations[0], watch.s3, memo, watch.guard.rootMarker), refit, 0)
}

/** A site over `key` in the bucket of a fake GCS. */
export function gcsSite(endpoint: string, key: string, over: Partial<Watch> = {}, refit?: PartsRefit): Promise<Site> {
  const location = { ...parseLocation(`gs://fake/${key}`, '/'), endpoint }
  return siteOf({ locations: [location], gcs: { endpoint }, events: { kind: 'pubsub', subscription: 'none' }, ...over }, (watch) => openGcsStore(watch.locations[0], watch.gcs, watch.guard.rootMarker), refit, 0)
}

/** Stores that tell of each stretch what `rewrite` makes of it. */
export function listing(rewrite: (span: Span) => Partial<Span>): PartsRefit {
  return storesWith((store) => ({
    async *scan(startMs, signal) {
      for await (const span of store.scan(startMs, signal)) {
        const { cover, seen, skipped, settled, stamp, end } = span
        yield { cover, seen, skipped, settled, entries: () => span.entries(), ...(stamp !== undefined && { stamp }), ...(end !== undefined && { end }), ...rewrite(span) }
      }
    },
  }))
}
