import { VarveError } from '../model/errors.ts'
import type { Holding } from '../model/entry.ts'
import type { Parts, Wish } from './terms.ts'

// So many holdings take some 30 MB: those of smaller versions are asked for once, those of larger ones twice.
const HELD_MOST = 50_000

/** A page of a version: what of it was asked for. `from` is the number of its first entry. */
export interface Page {
  readonly from: number
  readonly holdings: readonly Holding[]
}

/** The entries of one version, in path order, each with the same number every time. */
export class Pages {
  readonly #parts: Parts
  readonly #wish: Wish
  readonly #version: string
  readonly #entries: number
  #held: Page[] | undefined

  /** `version` is a number, `v3`: an alias may move. */
  constructor(parts: Parts, wish: Wish, version: string, entries: number) {
    this.#parts = parts
    this.#wish = wish
    this.#version = version
    this.#entries = entries
  }

  /** Throws NOT_FOUND when nothing was asked for. */
  async *all(): AsyncGenerator<Page> {
    if (this.#held !== undefined) return yield* this.#held
    const { collection, path, takes } = this.#wish
    const held: Page[] = []
    let from = 0
    for await (const all of this.#parts.registry.holdings(collection, this.#version, path)) {
      const holdings = takes === undefined ? all : all.filter((holding) => takes.call(this.#wish, holding.path))
      if (holdings.length === 0) continue
      const page = { from, holdings }
      if (this.#entries <= HELD_MOST) held.push(page)
      from += holdings.length
      yield page
    }
    if (this.#entries <= HELD_MOST) this.#held = held
    if (from > 0 || (path === undefined && takes === undefined)) return
    const which = path === undefined ? 'the filters let through' : `${JSON.stringify(path)} names`
    throw new VarveError('NOT_FOUND', `${which} no entry of ${collection.project}/${collection.collection}:${this.#version}`, { hint: 'varve files lists what there is' })
  }
}
