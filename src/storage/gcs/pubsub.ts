import { backoffMs } from '../../model/clock.ts'
import type { Clock } from '../../model/clock.ts'
import { describe, VarveError } from '../../model/errors.ts'
import { wholeOf } from '../ear.ts'
import type { Ear } from '../ear.ts'
import { Seldom } from '../seldom.ts'
import type { ChangeSource, Hint, Log } from '../storage.ts'
import { pubsubFailure } from './failures.ts'
import { parseNotification } from './notifications.ts'
import { connectSubscription } from './subscription.ts'
import type { Received, Subscription, SubscriptionOrder } from './subscription.ts'

// A stream that is refused ends within a round trip or two: one that lasted so long is heard, though nothing was said.
const PROOF_MS = 5_000
// Messages that share one durable mark and one acknowledgement: ids of some 200 bytes, of which a request takes 512 KB.
const BATCH = 1_000
// A mark that takes long sees the same messages come again and again: what does not fit here is left to do so.
const ARRIVED_MOST = 20_000

/**
 * Hears what GCS tells a subscription. A message is acknowledged only after `emit` resolved for it, and given back when it did not; one that is
 * not understood is left, to come again after its deadline or go to the dead-letter topic, with one log line a minute. A stream that ends is
 * opened anew; while none can be opened, or `emit` fails, the waits grow. It begins with a whole hint for each location, and again whenever it
 * is heard after such a failure; the ends that the service itself makes each half hour lose nothing, and ask for nothing.
 */
export function pubsubSource(order: SubscriptionOrder, clock: Clock, log: Log): ChangeSource {
  const name = `pubsub ${order.name.slice(order.name.lastIndexOf('/') + 1)}`
  return {
    name,
    async listen(emit, signal, tell) {
      await new Listener({ order, name, clock, log, emit, signal, tell }).hear()
    },
  }
}

/** Hears until its signal aborts. */
class Listener {
  readonly #with: Ear<SubscriptionOrder>
  #begun = false
  /** Something may have been missed: when it is heard again all is to be looked at. */
  #owes = false
  #failures = 0
  readonly #poison: Seldom

  constructor(hearing: Ear<SubscriptionOrder>) {
    const { clock, log, name } = hearing
    this.#with = hearing
    this.#poison = new Seldom(clock, (messages) => log.warn({ name, messages }, 'messages that are no notifications of GCS are left to the dead-letter topic'))
  }

  async hear(): Promise<void> {
    const { signal, emit, clock } = this.#with
    while (!signal.aborted) {
      try {
        if (!this.#begun) await emit(wholeOf(this.#with.order.locations))
        this.#begun = true
        await this.#connected()
      } catch (error) {
        if (signal.aborted) return
        // Said once until it is over: a subscription that is gone for an hour is one line.
        if (this.#failures++ === 0) {
          this.#with.log.warn({ name: this.#with.name, error: describe(error) }, 'the subscription is not heard')
          this.#with.tell?.({ trouble: error })
        }
        this.#owes = this.#begun
      }
      if (!signal.aborted) await clock.sleep(backoffMs(Math.max(this.#failures - 1, 0), clock.random()), signal)
    }
  }

  /** A connection of its own for each stream: one that failed waits by a clock of its own before it tries again. */
  async #connected(): Promise<void> {
    const { order, name, signal } = this.#with
    const subscription = await connectSubscription(order, name, signal)
    try {
      await this.#attend(subscription)
    } finally {
      await subscription.close()
    }
  }

  /** Marks what arrives until the stream ends, or the signal aborts. Throws when the stream was never heard, or what arrived cannot be marked. */
  async #attend(subscription: Subscription): Promise<void> {
    const { clock, name, signal } = this.#with
    const over = new AbortController()
    const arrived: Received[] = []
    let ended: { readonly error: unknown } | undefined
    let wake = (): void => undefined
    const pull = subscription.pull((messages) => {
      if (arrived.length < ARRIVED_MOST) arrived.push(...messages)
      wake()
    }, (error) => {
      ended = { error }
      wake()
    })
    const stop = (): void => wake()
    signal.addEventListener('abort', stop)
    let heard = false
    let proven = false
    clock.sleep(PROOF_MS, over.signal).then(() => {
      proven = true
      wake()
    })
    try {
      for (;;) {
        // What arrives together is marked together: the stream has its turn first.
        await new Promise(setImmediate)
        const batch = signal.aborted ? [] : arrived.slice(0, BATCH)
        if (batch.length > 0) {
          heard = (await this.#mark(subscription, batch)) || heard
          arrived.splice(0, batch.length)
        } else if (ended !== undefined || signal.aborted) break
        else if (proven && !heard) heard = await this.#hears([])
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      signal.removeEventListener('abort', stop)
      over.abort()
      // First the stream: else what is given back comes to it again.
      pull.cancel()
      if (ended === undefined) await this.#giveBack(subscription, arrived)
    }
    if (heard || ended === undefined) return
    throw ended.error === undefined ? new VarveError('STORAGE_UNAVAILABLE', `${name} ended as soon as it was opened`) : pubsubFailure(ended.error, name)
  }

  /** What arrived and is not marked need not wait for its deadline. */
  async #giveBack(subscription: Subscription, messages: readonly Received[]): Promise<void> {
    for (let at = 0; at < messages.length; at += BATCH)
      await subscription.giveBack(messages.slice(at, at + BATCH).map(({ ackId }) => ackId)).catch((error: unknown) => this.#tellLost('could not be given back', error))
  }

  /** Emits, with what is owed; then it is known to hear. */
  async #hears(hints: readonly Hint[]): Promise<true> {
    const all = this.#owes ? [...wholeOf(this.#with.order.locations), ...hints] : hints
    if (all.length > 0) await this.#with.emit(all)
    if (this.#failures > 0) {
      this.#with.log.info({ name: this.#with.name }, 'the subscription is heard again')
      this.#with.tell?.({})
    }
    this.#owes = false
    this.#failures = 0
    return true
  }

  /** One mark for all, then one acknowledgement; false when nothing of it was understood. Throws when they cannot be marked. */
  async #mark(subscription: Subscription, messages: readonly Received[]): Promise<boolean> {
    // An overwrite sends two messages, and each may come twice.
    const hints = new Map<string, Hint>()
    const ackIds: string[] = []
    for (const { ackId, attributes } of messages) {
      const hint = parseNotification(attributes)
      if (hint === undefined) continue
      ackIds.push(ackId)
      hints.set(`${hint.bucket}/${hint.key}`, hint)
    }
    this.#poison.happened(messages.length - ackIds.length)
    if (ackIds.length === 0) return false
    await this.#hears([...hints.values()])
    await subscription.acknowledge(ackIds).catch((error: unknown) => this.#tellLost('could not be acknowledged', error))
    return true
  }

  /** What the service does not take comes again, which is harmless. */
  #tellLost(what: string, error: unknown): void {
    const failure = pubsubFailure(error, this.#with.name)
    this.#with.log.warn({ name: this.#with.name, error: describe(failure) }, `messages ${what}; they come again`)
  }
}
