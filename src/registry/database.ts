import type { Connection, Value } from './connection.ts'

export type Named = Readonly<Record<string, Value>>

/** Statements of one logical transaction, or reads outside of any. */
export interface Statements {
  all<T>(text: string, named?: Named, listed?: readonly Value[]): Promise<readonly T[]>
  /** The first row. */
  one<T>(text: string, named?: Named): Promise<T | undefined>
}

/** One writer, and one reader that goes on during a commit. Where both are one connection, reads wait for the transaction. */
export class Database {
  /** Reads of what is committed. */
  readonly read: Statements
  readonly #writer: Connection
  readonly #reader: Connection
  readonly #within: Statements
  #tail: Promise<unknown> = Promise.resolve()

  constructor(writer: Connection, reader: Connection) {
    this.#writer = writer
    this.#reader = reader
    this.#within = statements((text, named, listed) => writer.all(text, { named, listed }))
    const alone = writer === reader
    this.read = statements((text, named, listed) => {
      const ask = (): Promise<readonly unknown[]> => reader.all(text, { named, listed })
      return alone ? this.#inTurn(ask) : ask()
    })
  }

  /** Runs `work` as one transaction, all or nothing; two never interleave. When it resolves, the writes are on the disk, unless they need not be `durable`. */
  transaction<T>(work: (statements: Statements) => Promise<T>, durable = true): Promise<T> {
    return this.#inTurn(async () => {
      await this.#writer.begin(durable)
      try {
        const result = await work(this.#within)
        await this.#writer.commit()
        return result
      } catch (error) {
        await this.#writer.rollback()
        throw error
      }
    })
  }

  /** Waits for what is going on, then closes. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#reader !== this.#writer) await this.#reader.close()
      await this.#writer.close()
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => undefined)
    return turn
  }
}

type Ask = (text: string, named: Named, listed: readonly Value[]) => Promise<readonly unknown[]>

function statements(ask: Ask): Statements {
  return {
    all: async <T>(text: string, named: Named = {}, listed: readonly Value[] = []) => (await ask(text, named, listed)) as readonly T[],
    one: async <T>(text: string, named: Named = {}) => (await ask(text, named, []))[0] as T | undefined,
  }
}
