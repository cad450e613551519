import { once } from 'node:events'
import type { Clock } from '../../model/clock.ts'
import { describe, VarveError } from '../../model/errors.ts'
import type { Location } from '../../model/location.ts'
import type { Hearing, Hint, Log, ToldSource } from '../storage.ts'
import { wholeOf } from '../ear.ts'
import { heardOf, parsePost } from './notifications.ts'
import { Seldom } from '../seldom.ts'
import { Token } from './token.ts'

/** A path of the daemon's listener, and the locations whose notifications are posted to it. */
export interface HookOrder {
  readonly path: string
  readonly tokenFile: string
  readonly locations: readonly Location[]
}

type Emit = (hints: readonly Hint[]) => Promise<void>

/** A post whose hints are not marked yet. */
interface Waiting {
  readonly hints: readonly Hint[]
  resolve(): void
  reject(error: unknown): void
}

/**
 * Hears what S3-compatible stores post. It begins with a whole hint for each location; what was posted while nobody listened is the store's to post again. While the
 * token's file holds none every post waits, with one log line.
 */
export function openWebhook(order: HookOrder, clock: Clock, log: Log): ToldSource {
  return new Webhook(order, new Token(order.tokenFile, clock), clock, log)
}

class Webhook implements ToldSource {
  readonly name: string
  readonly path: string
  readonly #order: HookOrder
  readonly #token: Token
  readonly #log: Log
  readonly #strangers: Seldom
  readonly #poison: Seldom
  #emit: Emit | undefined
  #tell: ((hearing: Hearing) => void) | undefined
  #refused = false
  #waiting: Waiting[] = []
  #marking: Promise<void> | undefined
  /** What is wrong with the token's file, and with the marks: each is said once until it is over. */
  readonly #troubles = new Map<string, string>()

  constructor(order: HookOrder, token: Token, clock: Clock, log: Log) {
    this.path = order.path
    this.name = `webhook ${order.path}`
    this.#order = order
    this.#token = token
    this.#log = log
    const { name } = this
    this.#strangers = new Seldom(clock, (posts) => {
      log.warn({ name, posts }, 'posts that did not show the token were refused')
      this.#refused = true
      const hint = `give the store the token that ${order.tokenFile} holds`
      this.#tell?.({ trouble: new VarveError('LOCATION_DENIED', 'posts are refused: they do not show the token', { hint }) })
    })
    this.#poison = new Seldom(clock, (posts) => log.warn({ name, posts }, 'posts that are no S3 notifications, or not whole ones, were refused'))
  }

  async listen(emit: Emit, signal: AbortSignal, tell?: (hearing: Hearing) => void): Promise<void> {
    if (signal.aborted) return
    this.#tell = tell
    // It hears before it asks for the whole: so nothing falls between the two.
    this.#emit = emit
    try {
      await emit(wholeOf(this.#order.locations))
      if (!signal.aborted) await once(signal, 'abort')
    } finally {
      this.#emit = undefined
      await this.#marking
    }
  }

  async refusal(authorization: string | undefined): Promise<401 | 503 | undefined> {
    try {
      const shown = await this.#token.isShown(authorization)
      this.#over('token')
      // Who shows it is heard, whoever else does not.
      if (shown && this.#refused) this.#tell?.({})
      if (shown) this.#refused = false
      if (!shown) this.#strangers.happened()
      return shown ? (this.#emit === undefined ? 503 : undefined) : 401
    } catch (error) {
      this.#trouble('token', describe(error), 'nobody can post: their token cannot be checked')
      return 503
    }
  }

  async tell(body: Uint8Array): Promise<200 | 400 | 503> {
    const { hints, whole } = heardOf(parsePost(textOf(body) ?? ''))
    if (!whole) this.#poison.happened()
    const answer = whole ? 200 : 400
    if (hints.length === 0) return answer
    try {
      await this.#mark(hints)
      this.#over('mark')
      return answer
    } catch (error) {
      this.#trouble('mark', describe(error), 'what was posted cannot be marked: its sender is asked to post it again')
      return 503
    }
  }

  /** Resolves when `hints` are durable. What comes while a mark is written shares the next one. */
  #mark(hints: readonly Hint[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ hints, resolve, reject })
      this.#marking ??= this.#markAll()
    })
  }

  async #markAll(): Promise<void> {
    // A turn later, so that what came together is marked together.
    await undefined
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0)
      try {
        if (this.#emit === undefined) throw new Error('nobody hears now')
        await this.#emit(batch.flatMap(({ hints }) => hints))
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#marking = undefined
  }

  #trouble(kind: string, error: string, message: string): void {
    if (this.#troubles.get(kind) === error) return
    this.#troubles.set(kind, error)
    this.#tell?.({ trouble: new Error(`${message} (${error})`) })
    this.#log.warn({ name: this.name, error }, message)
  }

  #over(kind: string): void {
    if (!this.#troubles.delete(kind)) return
    this.#log.info({ name: this.name }, 'posts are taken again')
    if (this.#troubles.size === 0) this.#tell?.({})
  }
}

/** Undefined for what is no UTF-8: a key that was garbled on the way would be looked for in vain. */
function textOf(body: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    return undefined
  }
}
