import { DeleteMessageBatchCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import type { Message, SQSClient } from '@aws-sdk/client-sqs'
import { backoffMs } from '../../model/clock.ts'
import type { Clock } from '../../model/clock.ts'
import { describe, isFailure } from '../../model/errors.ts'
import type { ChangeSource, Hint, Log } from '../storage.ts'
import { awsFailure } from './failures.ts'
import { heardOf, parseNotification } from './notifications.ts'
import { connectSqs } from './queue.ts'
import type { QueueOrder } from './queue.ts'
import { wholeOf } from '../ear.ts'
import type { Ear } from '../ear.ts'
import { Seldom } from '../seldom.ts'

// What SQS allows at most: ten messages per receive or delete, twenty seconds of waiting.
const BATCH = 10
const WAIT_S = 20
// A receive that came back full is followed by nine more at once: a hundred messages share one durable mark.
const BURST = 9
// A minute is the shortest time that a queue can be told to keep messages: after a longer silence some may be lost.
const OUTAGE_MS = 60_000
// An empty answer that came at once was not a long poll: some imitations do not wait.
const QUICK_MS = 1_000

/**
 * Hears what S3 tells a queue. A message is deleted only after `emit` resolved for it; one that is not understood, or not all of it, is left for the dead-letter
 * queue, with one log line a minute. While the queue or `emit` fails nothing is deleted, and the waits grow. It begins with a whole hint for
 * each location, and again after an outage of more than a minute.
 */
export function sqsSource(order: QueueOrder, clock: Clock, log: Log): ChangeSource {
  const name = `sqs ${order.url.slice(order.url.lastIndexOf('/') + 1)}`
  return {
    name,
    async listen(emit, signal, tell) {
      if (signal.aborted) return
      const ear = new Listener({ order, name, clock, log, emit, signal, tell }, await connectSqs(order))
      try {
        await ear.hear()
      } finally {
        ear.close()
      }
    },
  }
}

/** Hears until its signal aborts. */
class Listener {
  readonly #with: Ear<QueueOrder>
  readonly #poison: Seldom
  #client: SQSClient
  #failures = 0

  constructor(hearing: Ear<QueueOrder>, client: SQSClient) {
    this.#with = hearing
    this.#client = client
    const { name, clock, log } = hearing
    this.#poison = new Seldom(clock, (messages) => log.warn({ name, messages }, 'messages that are no S3 notifications, or not whole ones, are left to the dead-letter queue'))
  }

  async hear(): Promise<void> {
    // What was missed before is unknown, and so is what is missed in a long silence.
    let allAgain = true
    let heardMs = this.#with.clock.monotonic()
    while (!this.#with.signal.aborted) {
      try {
        if (allAgain) await this.#with.emit(wholeOf(this.#with.order.locations))
        allAgain = false
        await this.#turn()
        if (this.#failures > 0) {
          this.#with.log.info({ name: this.#with.name }, 'the queue is heard again')
          this.#with.tell?.({})
        }
        this.#failures = 0
        if (this.#with.clock.monotonic() - heardMs > OUTAGE_MS) allAgain = true
        heardMs = this.#with.clock.monotonic()
      } catch (error) {
        if (this.#with.signal.aborted) return
        await this.#backOff(error)
      }
    }
  }

  close(): void {
    this.#client.destroy()
  }

  async #backOff(error: unknown): Promise<void> {
    const failure = awsFailure(error, this.#with.name, 'sqs:ReceiveMessage or sqs:DeleteMessage')
    // Said once until it is over: a queue that is down for an hour is one line.
    if (this.#failures === 0) {
      this.#with.log.warn({ name: this.#with.name, error: describe(failure) }, 'the queue is not heard')
      this.#with.tell?.({ trouble: failure })
    }
    if (isFailure(failure, 'CREDENTIALS') || isFailure(failure, 'LOCATION_DENIED')) await this.#reconnect()
    await this.#with.clock.sleep(backoffMs(this.#failures++, this.#with.clock.random()), this.#with.signal)
  }

  /** A client keeps what credentials it has for as long as these say that they are good: only another one sees that their file was rotated. */
  async #reconnect(): Promise<void> {
    const client = await connectSqs(this.#with.order)
    this.#client.destroy()
    this.#client = client
  }

  /** One long poll, what follows at once, one mark for all, then the deletes. */
  async #turn(): Promise<void> {
    const startedMs = this.#with.clock.monotonic()
    const messages = await this.#receive(WAIT_S)
    if (messages.length === BATCH) for (const more of await Promise.all(Array.from({ length: BURST }, () => this.#receive(0)))) messages.push(...more)
    if (messages.length === 0) {
      if (this.#with.clock.monotonic() - startedMs < QUICK_MS) await this.#with.clock.sleep(QUICK_MS, this.#with.signal)
      return
    }
    const hints: Hint[] = []
    const done: Message[] = []
    for (const message of messages) {
      const heard = heardOf(parseNotification(message.Body ?? ''))
      if (heard.whole) done.push(message)
      hints.push(...heard.hints)
    }
    this.#poison.happened(messages.length - done.length)
    if (hints.length > 0) await this.#with.emit(hints)
    const batches = Array.from({ length: Math.ceil(done.length / BATCH) }, (_, at) => done.slice(at * BATCH, (at + 1) * BATCH))
    await Promise.all(batches.map((batch) => this.#delete(batch)))
  }

  async #receive(waitSeconds: number): Promise<Message[]> {
    const command = new ReceiveMessageCommand({ QueueUrl: this.#with.order.url, MaxNumberOfMessages: BATCH, WaitTimeSeconds: waitSeconds })
    const { Messages } = await this.#client.send(command, { abortSignal: this.#with.signal })
    return Messages ?? []
  }

  /** Deletes what is durably marked. What the queue does not delete comes again, which is harmless. */
  async #delete(messages: readonly Message[]): Promise<void> {
    const Entries = messages.map((message, index) => ({ Id: `${index}`, ReceiptHandle: message.ReceiptHandle }))
    const { Failed } = await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl: this.#with.order.url, Entries }))
    if (Failed === undefined || Failed.length === 0) return
    this.#with.log.warn({ name: this.#with.name, messages: Failed.length, code: Failed[0]?.Code }, 'messages could not be deleted; they come again')
  }
}
