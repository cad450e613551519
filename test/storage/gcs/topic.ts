import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { PubSub } from '@google-cloud/pubsub'

/** A topic of the Pub/Sub at `host`, with one subscription, as their owner has them. */
export interface Owned {
  readonly subscription: string
  /** The topic's own name: `projects/p/topics/T`. */
  readonly topic: string
  publish(attributes: Readonly<Record<string, string>>, data?: string): Promise<void>
  /** Makes the topic and the subscription, again where the service has lost them. */
  make(): Promise<void>
  close(): Promise<void>
}

export function topicAt(host: string, name: string): Owned {
  // The owner's client must not look for a metadata server.
  process.env['METADATA_SERVER_DETECTION'] = 'none'
  const client = new PubSub({ projectId: 'p', apiEndpoint: host, emulatorMode: true })
  const topic = client.topic(`t-${name}`)
  return {
    subscription: `projects/p/subscriptions/s-${name}`,
    topic: `projects/p/topics/t-${name}`,
    async publish(attributes, data = '') {
      await topic.publishMessage({ attributes: { ...attributes }, data: Buffer.from(data) })
    },
    async make() {
      await topic.create()
      await topic.createSubscription(`s-${name}`, { ackDeadlineSeconds: 10 })
    },
    close: () => client.close(),
  }
}

/** The attributes of a notification of GCS about `objectId`. */
export function notice(objectId: string, eventType = 'OBJECT_FINALIZE'): Record<string, string> {
  return { bucketId: 'b', objectId, eventType, payloadFormat: 'NONE', objectGeneration: '1', eventTime: '2026-01-02T03:04:05Z', notificationConfig: 'projects/_/buckets/b/notificationConfigs/1' }
}

/** A way to a port that can be cut: what is connected then is dropped, and nothing else is let in until it is mended. */
export class Wire {
  readonly host: string
  readonly #sockets = new Set<Socket>()
  readonly #end: () => Promise<void>
  #cut = false

  private constructor(host: string, end: () => Promise<void>) {
    this.host = host
    this.#end = end
  }

  static async to(port: number): Promise<Wire> {
    const server = createServer((socket) => wire.#join(socket, port)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const wire = new Wire(`127.0.0.1:${(server.address() as AddressInfo).port}`, async () => {
      server.close()
      await once(server, 'close')
    })
    return wire
  }

  get connections(): number {
    return this.#sockets.size / 2
  }

  #join(socket: Socket, port: number): void {
    if (this.#cut) return void socket.destroy()
    const onward = connect(port, '127.0.0.1')
    for (const [one, other] of [[socket, onward], [onward, socket]] as const) {
      this.#sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  }

  cut(): void {
    this.#cut = true
    this.drop()
  }

  /** Drops what is connected; the next connection is let in. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  mend(): void {
    this.#cut = false
  }

  async stop(): Promise<void> {
    this.cut()
    await this.#end()
  }
}
