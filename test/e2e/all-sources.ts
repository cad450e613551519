// A place of each kind, and a world between each and Varve that doubles, delays, reorders and drops what they tell.
import { createServer, request } from 'node:http'
import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DeleteMessageCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { PubSub } from '@google-cloud/pubsub'
import type { Bucket } from '@google-cloud/storage'
import { S3_KEYS } from '../components.ts'
import type { Running } from '../components.ts'
import { put } from '../storage/gcs/bucket.ts'
import type { Owned } from './bucket.ts'

/** What one place holds, as its writer knows it. */
export interface Field {
  readonly name: string
  /** What is there: path to size. No two writes have the same size, so that the size tells which it was. */
  readonly held: Map<string, number>
  readonly names: readonly string[]
  put(path: string, bytes: Buffer): Promise<void>
  remove(path: string): Promise<void>
}

/** Tells of what it was given later, out of order, twice, or never, until it is calm; then of all that it still has, at once. */
export class Chaos {
  calm = false
  readonly told = { dropped: 0, doubled: 0, delayed: 0 }
  readonly #random: () => number
  readonly #going = new Set<Promise<void>>()

  constructor(random: () => number) {
    this.#random = random
  }

  give(tell: () => Promise<unknown>): void {
    const dice = this.#random()
    if (!this.calm && dice < 0.15) return void this.told.dropped++
    const times = !this.calm && dice < 0.4 ? 2 : 1
    this.told.doubled += times - 1
    for (let i = 0; i < times; i++) {
      const waitMs = this.calm ? 0 : this.#random() * 2_000
      if (waitMs > 500) this.told.delayed++
      const going: Promise<void> = sleep(waitMs).then(tell).then(() => undefined, () => undefined).finally(() => this.#going.delete(going))
      this.#going.add(going)
    }
  }

  async settled(): Promise<void> {
    while (this.#going.size > 0) await Promise.race(this.#going)
  }
}

export function folderField(root: string, names: readonly string[]): Field {
  const held = new Map<string, number>()
  return {
    name: root, names, held,
    async put(path, bytes) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), bytes)
    },
    remove: async (path) => rmSync(join(root, path)),
  }
}

export function s3Field(owned: Owned, prefix: string, names: readonly string[]): Field {
  return {
    name: `s3 ${owned.endpoint}`, names, held: new Map(),
    put: async (path, bytes) => void (await owned.put(prefix + path, bytes.toString('latin1'))),
    remove: async (path) => void (await owned.remove(prefix + path)),
  }
}

export function gcsField(bucket: Bucket, prefix: string, names: readonly string[]): Field {
  return {
    name: 'gcs', names, held: new Map(),
    put: (path, bytes) => put(bucket, prefix + path, bytes.toString('latin1')),
    remove: async (path) => void (await bucket.file(prefix + path).delete()),
  }
}

/** Files of a web server: they are there from the start, and never go. */
export function webField(nginx: Running, names: readonly string[]): Field {
  let second = 0
  return {
    name: 'web', names, held: new Map(),
    async put(path, bytes) {
      const file = join(nginx.folder, 'www', path)
      writeFileSync(`${file}.new`, bytes)
      utimesSync(`${file}.new`, 1_767_225_600 + ++second, 1_767_225_600 + second)
      renameSync(`${file}.new`, file)
    },
    remove: () => Promise.resolve(),
  }
}

/** Carries what comes to the queue at `from` on to the one at `to`. */
export async function pumpQueue(endpoint: string, from: string, to: string, chaos: Chaos, signal: AbortSignal): Promise<void> {
  const sqs = new SQSClient({ endpoint, region: 'us-east-1', credentials: S3_KEYS })
  while (!signal.aborted) {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: from, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 })).catch(() => ({ Messages: [] }))
    for (const { Body, ReceiptHandle } of Messages) {
      await sqs.send(new DeleteMessageCommand({ QueueUrl: from, ReceiptHandle }))
      chaos.give(() => sqs.send(new SendMessageCommand({ QueueUrl: to, MessageBody: Body })))
    }
    if (Messages.length === 0) await sleep(100)
  }
  sqs.destroy()
}

/** Carries what comes to the subscription `from` on to the topic `to`. */
export function pumpTopic(host: string, from: string, to: string, chaos: Chaos): { stop(): Promise<void> } {
  const client = new PubSub({ projectId: 'p', apiEndpoint: host, emulatorMode: true })
  const topic = client.topic(to)
  const subscription = client.subscription(from)
  subscription.on('message', (message: { readonly attributes: Record<string, string>; readonly data: Buffer; ack(): void }) => {
    message.ack()
    chaos.give(() => topic.publishMessage({ attributes: message.attributes, data: message.data }))
  })
  subscription.on('error', () => undefined)
  return {
    async stop() {
      await subscription.close()
      await client.close()
    },
  }
}

/** Takes posts, and posts them on to `port`. What cannot be posted on is lost: its sender was told that it was taken. */
export async function pumpPosts(port: () => number, chaos: Chaos): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const server = createServer((incoming, answer) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      answer.writeHead(200).end()
      const { authorization } = incoming.headers
      if (incoming.method === 'POST') chaos.give(() => post(port(), incoming.url ?? '/', Buffer.concat(chunks), authorization))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function post(port: number, path: string, body: Buffer, authorization: string | undefined): Promise<void> {
  const asked = request({ host: '127.0.0.1', port, path, method: 'POST', headers: { 'content-length': body.length, ...(authorization !== undefined && { authorization }) } })
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [import('node:http').IncomingMessage]
  answer.resume()
}
