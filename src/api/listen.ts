import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, VarveError } from '../model/errors.ts'
import type { Hook, Listener, ListenOrder } from './api.ts'

const HEADERS_BYTES_MAX = 16_384
// S3 notifications have at most 64 KB.
const BODY_BYTES_MAX = 1_048_576
// Whoever needs longer to say what it wants holds a connection for nothing.
const HEADERS_MS = 10_000
const REQUEST_MS = 30_000
const IDLE_MS = 5_000
const CONNECTIONS_MAX = 1_000
// What is being marked at the end has so long to be answered.
const CLOSE_MOST_MS = 3_000

/**
 * Listens on `host` and `port`: GET `/livez` (200 while this process is alive), GET `/readyz` (200, or 503 when a check fails; the body names each), GET `/metrics` (Prometheus' text), POST to the path
 * of each hook. Nothing else. Throws LISTEN_REFUSED when it cannot have the address.
 */
export async function openListener(order: ListenOrder): Promise<Listener> {
  const server = createServer({
    maxHeaderSize: HEADERS_BYTES_MAX, headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, keepAliveTimeout: IDLE_MS, connectionsCheckingInterval: 1_000,
  })
  server.maxConnections = CONNECTIONS_MAX
  try {
    server.listen(order.port, order.host)
    await once(server, 'listening')
  } catch (error) {
    throw refused(order, error)
  }
  const { address, port } = server.address() as AddressInfo
  const routes = routesOf(order, isLoopback(address))
  const underWay = new Set<ServerResponse>()
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    underWay.add(response)
    response.on('close', () => underWay.delete(response))
    void answer(routes, request, response, order.log)
  }
  server.on('error', (error) => order.log.warn({ error: describe(error) }, 'a connection was not taken'))
  server.on('request', take)
  // A sender who asks before it sends is told to go on once its token was seen.
  server.on('checkContinue', take)
  return { url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`, close: () => close(server, underWay) }
}

function refused({ host, port }: ListenOrder, error: unknown): VarveError {
  const code = (error as NodeJS.ErrnoException).code
  const why = code === 'EADDRINUSE' ? 'another process listens there' : code === 'EACCES' ? 'no permission to' : describe(error)
  const hint = 'set listen to another address, such as 127.0.0.1:7374, or to off'
  return new VarveError('LISTEN_REFUSED', `cannot listen on ${host}:${port}: ${why}`, { cause: error, hint })
}

async function close(server: Server, underWay: ReadonlySet<ServerResponse>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  const enough = new AbortController()
  const answered = Promise.all([...underWay].map((response) => once(response, 'close')))
  await Promise.race([answered, sleep(CLOSE_MOST_MS, undefined, { signal: enough.signal }).catch(() => undefined)])
  enough.abort()
  server.closeAllConnections()
  await closed
}

interface Route {
  readonly methods: readonly string[]
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>
}

function routesOf({ hooks, health, metrics }: ListenOrder, loopback: boolean): ReadonlyMap<string, Route> {
  const ready = async (): Promise<[number, unknown]> => {
    const checks = await health.checks()
    const isReady = checks.every(({ ok }) => ok)
    return [isReady ? 200 : 503, { ready: isReady, checks }]
  }
  const asked = (ask: () => Promise<[number, unknown, string?]>): Route => ({
    methods: ['GET', 'HEAD'],
    async answer(request, response) {
      // A page in a browser of this machine may have had its own name point here.
      if (loopback && !isOwnName(request.headers.host ?? '')) return reply(response, 421)
      const [status, body, type] = await ask()
      reply(response, status, body, type === undefined ? {} : { 'content-type': type })
    },
  })
  return new Map<string, Route>([
    ['/livez', asked(async () => [200, { alive: true }])],
    ['/readyz', asked(ready)],
    ['/metrics', asked(async () => [200, await metrics(), 'text/plain; version=0.0.4; charset=utf-8'])],
    ...hooks.map((hook) => [hook.path, { methods: ['POST'], answer: (request: IncomingMessage, response: ServerResponse) => takePost(hook, request, response) }] as const),
  ])
}

async function answer(routes: ReadonlyMap<string, Route>, request: IncomingMessage, response: ServerResponse, log: ListenOrder['log']): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?', 1)
  const route = routes.get(path)
  try {
    if (route === undefined) reply(response, 404)
    else if (route.methods.includes(request.method ?? '')) await route.answer(request, response)
    else reply(response, 405, undefined, { allow: route.methods.join(', ') })
  } catch (error) {
    // Whoever went away, or broke off, is not there to be answered.
    if (request.destroyed || response.headersSent) return void response.destroy()
    log.error({ path, error: describe(error) }, 'a request could not be answered')
    reply(response, 500)
  }
}

async function takePost(hook: Hook, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const refusal = await hook.refusal(request.headers.authorization)
  if (refusal !== undefined) return reply(response, refusal, undefined, refusal === 401 ? { 'www-authenticate': 'Bearer' } : {})
  const body = await bodyOf(request, response)
  if (body === undefined) return reply(response, 413)
  reply(response, await hook.tell(body))
}

/** The whole body; undefined when it is too large. Rejects when it breaks off. */
async function bodyOf(request: IncomingMessage, response: ServerResponse): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) return undefined
  if (request.headers.expect !== undefined) response.writeContinue()
  const chunks: Buffer[] = []
  let bytes = 0
  // The request must outlive the loop: its answer goes the same way.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const COMMON = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

function reply(response: ServerResponse, status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): void {
  const text = body === undefined ? '' : typeof body === 'string' ? body : `${JSON.stringify(body)}\n`
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  response.writeHead(status, { ...COMMON, ...type, ...headers, 'content-length': Buffer.byteLength(text) }).end(text)
  // What was not read of the request is dropped as it comes, so that its sender gets to read the answer.
  response.req.resume()
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** True for an address, for the names that always mean this machine, and where none is said, as no browser does: nobody can make these point here. */
function isOwnName(host: string): boolean {
  if (host === '') return true
  const name = host.replace(/:\d*$/, '').replace(/^\[|\]$/g, '').toLowerCase()
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')
}
