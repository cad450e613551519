import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { loopback } from './loopback.ts'
import type { Loopback } from './loopback.ts'
import { keyIdOf } from './s3.ts'

interface Message {
  readonly body: string
  readonly handle: string
  hidden: boolean
}

/** A small SQS of one queue. A received message stays hidden until `reappear`. */
export class FakeSqs {
  /** Answers every request with this status. */
  down: number | undefined
  /** Refuses to delete messages whose body holds this text. */
  refuses: string | undefined
  /** Actions that are denied. */
  readonly denied = new Set<string>()
  /** What the queue says of itself. */
  attributes: Readonly<Record<string, string>> = {}
  /** Whose requests are answered, by access key. */
  admits: (keyId: string) => boolean = () => true
  /** Requests that came in, in order: `ReceiveMessage 10 of 12`, `DeleteMessageBatch 10`. */
  readonly requests: string[] = []
  readonly #messages: Message[] = []
  readonly #at: Loopback
  #handles = 0

  private constructor(at: Loopback) {
    this.#at = at
  }

  static async start(): Promise<FakeSqs> {
    const fake: FakeSqs = new FakeSqs(await loopback((request, response) => void fake.#answer(request, response)))
    return fake
  }

  get url(): string {
    return `${this.#at.url}/123456789012/mnist`
  }

  stop(): Promise<void> {
    return this.#at.stop()
  }

  send(...bodies: readonly string[]): void {
    for (const body of bodies) this.#messages.push({ body, handle: `h${++this.#handles}`, hidden: false })
  }

  /** What has not been deleted. */
  left(): string[] {
    return this.#messages.map(({ body }) => body)
  }

  /** As after the visibility timeout. */
  reappear(): void {
    for (const message of this.#messages) message.hidden = false
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const action = String(request.headers['x-amz-target']).split('.')[1] as string
    const input = JSON.parse(await text(request)) as { VisibilityTimeout?: number; WaitTimeSeconds?: number; MaxNumberOfMessages?: number; Entries?: { Id: string; ReceiptHandle: string }[] }
    const answer = (status: number, value: unknown): void => void response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(value))
    if (!this.admits(keyIdOf(request) ?? '')) {
      this.requests.push(`${action} of a stranger`)
      return answer(403, { __type: 'com.amazon.coral.service#UnrecognizedClientException', message: 'no such key' })
    }
    if (this.down !== undefined) {
      this.requests.push(`${action} refused`)
      return answer(this.down, { __type: 'com.amazonaws.sqs#ServiceUnavailable', message: 'down' })
    }
    if (this.denied.has(action)) {
      this.requests.push(`${action} denied`)
      return answer(403, { __type: 'com.amazonaws.sqs#AccessDeniedException', message: `User: arn:aws:iam::123456789012:user/reader is not authorized to perform: sqs:${action} on resource: arn:aws:sqs:us-east-1:123456789012:mnist because no identity-based policy allows the sqs:${action} action` })
    }
    if (action === 'GetQueueAttributes') {
      this.requests.push(action)
      return answer(200, { Attributes: this.attributes })
    }
    if (action === 'ReceiveMessage') {
      const Messages = await this.#receive(input.MaxNumberOfMessages ?? 1, input.WaitTimeSeconds ?? 0, input.VisibilityTimeout !== 0)
      this.requests.push(`ReceiveMessage ${Messages.length}`)
      return answer(200, Messages.length === 0 ? {} : { Messages })
    }
    this.requests.push(`DeleteMessageBatch ${input.Entries?.length}`)
    answer(200, this.#delete(input.Entries ?? []))
  }

  async #receive(most: number, waitSeconds: number, hides: boolean): Promise<unknown[]> {
    const visible = (): Message[] => this.#messages.filter((message) => !message.hidden).slice(0, most)
    // A long poll, shortened.
    for (let tries = 0; visible().length === 0 && tries < Math.min(waitSeconds, 5); tries++) await sleep(10)
    return visible().map((message) => {
      message.hidden = hides
      return { MessageId: message.handle, ReceiptHandle: message.handle, Body: message.body, MD5OfBody: createHash('md5').update(message.body).digest('hex') }
    })
  }

  #delete(entries: readonly { Id: string; ReceiptHandle: string }[]): unknown {
    const Successful: unknown[] = []
    const Failed: unknown[] = []
    for (const { Id, ReceiptHandle } of entries) {
      const at = this.#messages.findIndex(({ handle }) => handle === ReceiptHandle)
      if (this.refuses !== undefined && this.#messages[at]?.body.includes(this.refuses) === true) Failed.push({ Id, Code: 'InternalError', SenderFault: false, Message: 'no' })
      else if (/^h\d+$/.test(ReceiptHandle)) {
        if (at >= 0) this.#messages.splice(at, 1)
        Successful.push({ Id })
      } else Failed.push({ Id, Code: 'ReceiptHandleIsInvalid', SenderFault: true })
    }
    return { Successful, Failed }
  }
}
