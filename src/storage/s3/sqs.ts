import { DeleteMessageBatchCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import type { Message, SQSClient } from '@aws-sdk/client-sqs'
import type { Clock } from '../../model/clock.ts'
import { describe } from '../../model/errors.ts'
import type { ChangeSource, Hint } from '../storage.ts'
import { awsFailure } from './failures.ts'
import { parseNotification } from './notifications.ts'
import { connectSqs } from './queue.ts'
import type { QueueOrder } from './queue.ts'

/** One structured line each. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

// What SQS allows at most: ten messages per receive or delete, twenty seconds of waiting.
const BATCH = 10
const WAIT_S = 20
// A receive that came back full is followed by nine more at once: a hundred messages share one durable mark.
const BURST = 9
// 1 s doubling to 60 s.
const RETRY_FIRST_MS = 1_000
const RETRY_MOST_MS = 60_000
// A minute is the shortest time that a queue can be told to keep messages: after a longer silence some may be lost.
const OUTAGE_MS = 60_000
// An empty answer that came at once was not a long poll: some imitations do not wait.
const QUICK_MS = 1_000
const POISON_LOG_MS = 60_000

/**
 * Hears what S3 tells a queue. A message is deleted only after `emit` resolved for it; one that is not understood is left for the dead-letter queue, with
 * one log line a minute. While the queue or `emit` fails nothing is deleted, and the waits grow. It begins with a whole hint for each location, and again after an
 * outage of more than a minute.
 */
export function sqsSource(order: QueueOrder, clock: Clock, log: Log): ChangeSource {
  const name = `sqs ${order.url.slice(order.url.lastIndexOf('/') + 1)}`
  return {
    name,
    async listen(emit, signal) {
      if (signal.aborted) return
      const client = await connectSqs(order)
      try {
        await new Ear(client, order, name, clock, log, emit, signal).hear()
      } finally {
        client.destroy()
      }
    },
  }
}

/** Hears until its signal aborts. */
class Ear {
  readonly #client: SQSClient
  readonly #order: QueueOrder
  readonly #name: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #emit: (hints: readonly Hint[]) => Promise<void>
  readonly #signal: AbortSignal
  #failures = 0
  #poison = 0
  #poisonToldMs = -Infinity

  constructor(client: SQSClient, order: QueueOrder, name: string, clock: Clock, log: Log, emit: (hints: readonly Hint[]) => Promise<void>, signal: AbortSignal) {
    this.#client = client
    this.#order = order
    this.#name = name
    this.#clock = clock
    this.#log = log
    this.#emit = emit
    this.#signal = signal
  }

  async hear(): Promise<void> {
    // What was missed before is unknown, and so is what is missed in a long silence.
    let allAgain = true
    let heardMs = this.#clock.monotonic()
    while (!this.#signal.aborted) {
      try {
        if (allAgain) await this.#emit(this.#everything())
        allAgain = false
        await this.#turn()
        if (this.#failures > 0) this.#log.info({ name: this.#name }, 'the queue is heard again')
        this.#failures = 0
        if (this.#clock.monotonic() - heardMs > OUTAGE_MS) allAgain = true
        heardMs = this.#clock.monotonic()
      } catch (error) {
        if (this.#signal.aborted) return
        await this.#backOff(error)
      }
    }
  }

  #everything(): Hint[] {
    return this.#order.locations.map((location) => ({ scheme: 's3', bucket: location.bucket, key: location.prefix, whole: true }))
  }

  async #backOff(error: unknown): Promise<void> {
    // Said once until it is over: a queue that is down for an hour is one line.
    if (this.#failures === 0) this.#log.warn({ name: this.#name, error: describe(awsFailure(error, this.#name, 'sqs:ReceiveMessage, sqs:DeleteMessage')) }, 'the queue is not heard')
    const full = Math.min(RETRY_FIRST_MS * 2 ** Math.min(this.#failures++, 30), RETRY_MOST_MS)
    // The upper half by chance, so that many do not come back at once.
    await this.#clock.sleep(full / 2 + (full / 2) * this.#clock.random(), this.#signal)
  }

  /** One long poll, what follows at once, one mark for all, then the deletes. */
  async #turn(): Promise<void> {
    const startedMs = this.#clock.monotonic()
    const messages = await this.#receive(WAIT_S)
    if (messages.length === BATCH) for (const more of await Promise.all(Array.from({ length: BURST }, () => this.#receive(0)))) messages.push(...more)
    if (messages.length === 0) {
      if (this.#clock.monotonic() - startedMs < QUICK_MS) await this.#clock.sleep(QUICK_MS, this.#signal)
      return
    }
    const hints: Hint[] = []
    const done: Message[] = []
    for (const message of messages) {
      const parsed = parseNotification(message.Body ?? '')
      if (parsed === undefined) this.#poison++
      else {
        done.push(message)
        if (parsed !== 'test') hints.push(...parsed)
      }
    }
    this.#tellPoison()
    if (hints.length > 0) await this.#emit(hints)
    const batches = Array.from({ length: Math.ceil(done.length / BATCH) }, (_, at) => done.slice(at * BATCH, (at + 1) * BATCH))
    await Promise.all(batches.map((batch) => this.#delete(batch)))
  }

  #tellPoison(): void {
    const now = this.#clock.monotonic()
    if (this.#poison === 0 || now - this.#poisonToldMs < POISON_LOG_MS) return
    this.#log.warn({ name: this.#name, messages: this.#poison }, 'messages that are no S3 notifications are left to the dead-letter queue')
    this.#poison = 0
    this.#poisonToldMs = now
  }

  async #receive(waitSeconds: number): Promise<Message[]> {
    const command = new ReceiveMessageCommand({ QueueUrl: this.#order.url, MaxNumberOfMessages: BATCH, WaitTimeSeconds: waitSeconds })
    const { Messages } = await this.#client.send(command, { abortSignal: this.#signal })
    return Messages ?? []
  }

  /** Deletes what is durably marked. What the queue does not delete comes again, which is harmless. */
  async #delete(messages: readonly Message[]): Promise<void> {
    const Entries = messages.map((message, index) => ({ Id: `${index}`, ReceiptHandle: message.ReceiptHandle }))
    const { Failed } = await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl: this.#order.url, Entries }))
    if (Failed === undefined || Failed.length === 0) return
    this.#log.warn({ name: this.#name, messages: Failed.length, code: Failed[0]?.Code }, 'messages could not be deleted; they come again')
  }
}
