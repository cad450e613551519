import type { Holding } from '../model/entry.ts'
import type { LossReason } from '../model/errors.ts'
import { bucketIdentity, formatReference, isWeb, locationIdentity } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Reader, Wanted } from '../storage/storage.ts'
import type { Look, Put } from './local.ts'

/** Where the bytes of an entry are asked for. */
export interface Source {
  readonly location: Location
  readonly key: string
  readonly wanted: Omit<Wanted, 'range'>
  /** A file of a local disk, which nothing can hang: our own threads read it. */
  readonly local: boolean
}

/** The source in words: its reference, and which object version. */
export function wordsOf({ location, key, wanted }: Pick<Source, 'location' | 'key' | 'wanted'>): string {
  return `${formatReference(location, key)}${wanted.pin === undefined ? '' : ` (${wanted.pin})`}`
}

/** Why a local file cannot be had: what a thread found that is not what was recorded. */
export function lossOf(found: Look | Put, source: Pick<Source, 'location' | 'key' | 'wanted'>): [reason: LossReason, words: string] {
  const [reason, words] = FOUND[found] ?? ['overwritten', 'holds other bytes now']
  return [reason, `${wordsOf(source)} ${words}`]
}

const FOUND: { readonly [found in Look | Put]?: readonly [LossReason, string] } = {
  absent: ['removed', 'is not there any more'], denied: ['denied', 'may not be read'], failing: ['unreachable', 'cannot be read: its disk fails'],
}

/** Readers by the place that they reach, opened when first needed. */
export class Readers {
  readonly #open: (location: Location) => Promise<Reader>
  readonly #farOf: (path: string) => Promise<string | undefined>
  readonly #opened = new Map<string, Promise<Reader>>()

  constructor(open: (location: Location) => Promise<Reader>, farOf: (path: string) => Promise<string | undefined>) {
    this.#open = open
    this.#farOf = farOf
  }

  of(location: Location): Promise<Reader> {
    return once(this.#opened, placeOf(location), () => this.#open(location))
  }

  /** Asked of each file: a local folder may hold a link to where calls hang. */
  async isLocal({ location, key }: Pick<Holding, 'location' | 'key'>): Promise<boolean> {
    return location.scheme === 'file' && (await this.#farOf(key)) === undefined
  }

  async close(): Promise<void> {
    for (const reader of await Promise.allSettled(this.#opened.values())) if (reader.status === 'fulfilled') await reader.value.close()
  }
}

/** One reader serves a whole bucket; of files and web objects each location has its own. */
export function placeOf(location: Location): string {
  return location.scheme === 'file' || isWeb(location) ? locationIdentity(location) : bucketIdentity(location)
}

function once<T>(known: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  const there = known.get(name)
  if (there !== undefined) return there
  const made = make()
  known.set(name, made)
  // Who asks again is asked again.
  made.catch(() => known.delete(name))
  return made
}
