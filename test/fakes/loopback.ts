import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An HTTP server of this process, on a free loopback port. */
export interface Loopback {
  readonly port: number
  readonly url: string
  /** Ends it with all its connections. */
  stop(): Promise<void>
}

export async function loopback(answer: RequestListener, connected: () => void = () => undefined): Promise<Loopback> {
  // A kept connection that is closed under who is about to ask costs a request more: on a busy machine that happens.
  const server = createServer({ keepAliveTimeout: 0 }, answer).on('connection', connected).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
