import type { Clock } from '../model/clock.ts'
import type { Store } from '../storage/storage.ts'

// A look whose server has brought nothing for so long waits for it, and works no more: pages and HEADs take well below a second.
const WAITS_MS = 5_000
// How often who wants a place sees whether somebody waits.
const CHECK_MS = 1_000

/** One look's hold of its place. */
export interface Place {
  /** The store that `opening` brings, or hangs in bringing, observed: while nothing comes of it this look waits. */
  observe(opening: Promise<Store>): Promise<Store>
  /** Gives the place back. */
  leave(): void
}

/** What a look asks of its store. */
interface Holder {
  calls: number
  /** When something last came, or was first asked for. */
  movedMs: number
}

/**
 * The places of looks that work. Who waits for a server holds none, until something comes of it: so servers that hang keep no other watch waiting. Whoever comes first is first.
 */
export class Places {
  readonly #most: number
  readonly #clock: Pick<Clock, 'monotonic' | 'sleep'>
  readonly #holders = new Set<Holder>()
  readonly #comers: symbol[] = []
  #changed = new AbortController()

  constructor(most: number, clock: Pick<Clock, 'monotonic' | 'sleep'>) {
    this.#most = most
    this.#clock = clock
  }

  /** Waits for a place; undefined when `signal` aborts first. */
  async take(signal: AbortSignal): Promise<Place | undefined> {
    const me = Symbol('comer')
    this.#comers.push(me)
    try {
      while (!signal.aborted && (this.#comers[0] !== me || this.#working() >= this.#most)) await this.#clock.sleep(CHECK_MS, AbortSignal.any([signal, this.#changed.signal]))
      return signal.aborted ? undefined : this.#hold()
    } finally {
      this.#comers.splice(this.#comers.indexOf(me), 1)
      this.#change()
    }
  }

  #working(): number {
    const now = this.#clock.monotonic()
    return [...this.#holders].filter(({ calls, movedMs }) => calls === 0 || now - movedMs < WAITS_MS).length
  }

  #hold(): Place {
    const holder: Holder = { calls: 0, movedMs: 0 }
    this.#holders.add(holder)
    const during = async <T>(call: Promise<T>): Promise<T> => {
      if (holder.calls++ === 0) holder.movedMs = this.#clock.monotonic()
      try {
        return await call
      } finally {
        holder.calls--
        holder.movedMs = this.#clock.monotonic()
      }
    }
    return {
      observe: async (opening) => observed(await during(opening), during),
      leave: () => {
        this.#holders.delete(holder)
        this.#change()
      },
    }
  }

  #change(): void {
    this.#changed.abort()
    this.#changed = new AbortController()
  }
}

type During = <T>(call: Promise<T>) => Promise<T>

function observed(store: Store, during: During): Store {
  return {
    root: (signal) => during(store.root(signal)),
    scan: (startMs, signal) => eachDuring(store.scan(startMs, signal), during),
    find: (paths, startMs, signal) => eachDuring(store.find(paths, startMs, signal), during),
    inspect: (listed, startMs, signal) => eachDuring(store.inspect(listed, startMs, signal), during),
    ...(store.keeping !== undefined && { keeping: async (counter, signal) => during(store.keeping?.(counter, signal) ?? Promise.resolve([])) }),
    ...(store.whyEmpty !== undefined && { whyEmpty: async (signal: AbortSignal) => during(store.whyEmpty?.(signal) ?? Promise.resolve([])) }),
    close: () => store.close(),
  }
}

async function* eachDuring<T>(items: AsyncIterable<T>, during: During): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await during(iterator.next())
      if (done === true) return
      yield value
    }
  } finally {
    await iterator.return?.()
  }
}
