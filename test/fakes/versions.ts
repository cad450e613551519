import { hash } from 'node:crypto'
import type { Content } from '../../src/model/entry.ts'
import type { Expiry, Terms } from '../../src/model/lifecycle.ts'
import type { Inventory, KeptVersion, Spend } from '../../src/storage/storage.ts'

interface Version {
  readonly id: string | undefined
  readonly text: string | undefined
  readonly writtenMs: number
}

/** A bucket that keeps versions, or not, as S3 does: what is put, removed, and deleted by its version. A page of its listing holds `pageSize` rows. */
export class FakeVersions {
  pageSize = 1_000
  versioned = true
  expiries: readonly Expiry[] = []
  notes: readonly string[] = []
  /** Thrown instead of an answer. */
  failure: Error | undefined
  /** Keys that no listing shows. */
  readonly hidden = new Set<string>()
  /** Keys whose versions must be thawed. */
  readonly archived = new Set<string>()
  /** When each request was made, by `clock`. */
  readonly requests: number[] = []
  readonly #clock: () => number
  readonly #versions = new Map<string, Version[]>()
  #count = 0

  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** What a look finds at the key afterwards. */
  put(key: string, text: string): Content {
    const id = this.versioned ? `${++this.#count}` : undefined
    const old = this.versioned ? (this.#versions.get(key) ?? []) : []
    this.#versions.set(key, [{ id, text, writtenMs: this.#clock() }, ...old])
    return contentOf(text, id)
  }

  remove(key: string): void {
    const old = this.#versions.get(key) ?? []
    this.#versions.set(key, this.versioned ? [{ id: `${++this.#count}`, text: undefined, writtenMs: this.#clock() }, ...old] : [])
  }

  /** For good. */
  destroy(pin: string): void {
    for (const [key, versions] of this.#versions) this.#versions.set(key, versions.filter(({ id }) => `versionId:${id}` !== pin))
  }

  /** Texts that some version of some key still has. */
  texts(): Set<string> {
    return new Set([...this.#versions.values()].flat().flatMap(({ text }) => text ?? []))
  }

  open(): Inventory {
    return {
      terms: async (spend) => {
        await this.#ask(spend)
        return { expiries: this.expiries, keepsVersions: this.versioned, notes: this.notes } satisfies Terms
      },
      kept: (keys, spend) => this.#kept(keys, spend),
      isThere: async (key, pin, spend) => {
        await this.#ask(spend)
        return (this.#versions.get(key) ?? []).some(({ id }) => `versionId:${id}` === pin)
      },
      close: async () => undefined,
    }
  }

  async #ask(spend: Spend): Promise<void> {
    await spend(1)
    this.requests.push(this.#clock())
    if (this.failure !== undefined) throw this.failure
  }

  async *#kept(keys: readonly string[], spend: Spend): AsyncGenerator<{ readonly key: string; readonly versions: readonly KeptVersion[] }> {
    let room = 0
    for (const key of keys) {
      const versions = this.hidden.has(key) ? [] : (this.#versions.get(key) ?? [])
      if (room < versions.length || room === 0) {
        await this.#ask(spend)
        room = this.pageSize
      }
      room -= versions.length
      yield {
        key,
        versions: versions.map(({ id, text, writtenMs }) => ({ marker: text === undefined, archived: this.archived.has(key), sizeBytes: text?.length ?? 0, writtenMs, ...(text !== undefined && { content: contentOf(text, id) }) })),
      }
    }
  }
}

function contentOf(text: string, id: string | undefined): Content {
  const etag = hash('md5', text, 'hex')
  return { digest: `etag:${etag}`, etag, ...(id !== undefined && { pin: `versionId:${id}` }) }
}
