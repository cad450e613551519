// Between Varve and a store: passes everything on, and spoils what it is told to.
import { createServer, request } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Transform } from 'node:stream'

export type Lie = 'flip' | 'cut' | 503 | 'stall'

export interface Liar {
  readonly url: string
  /** How the next GETs of objects whose path matches are spoiled, each of the list once; an endless list spoils all. */
  lie(path: RegExp, lies: Iterable<Lie | undefined>): void
  /** Lies since then. */
  told(): number
  /** Requests of any kind whose path matches are answered with 503, so many of them. */
  refuse(path: RegExp, times: number): void
  /** GETs of bodies so far. */
  gets(): readonly string[]
  /** Bytes of bodies that were passed on. */
  passed(): number
  close(): Promise<void>
}

export async function liarBefore(target: string): Promise<Liar> {
  let told: { readonly path: RegExp; readonly lies: Iterator<Lie | undefined> } | undefined
  let refused: { readonly path: RegExp; times: number } | undefined
  const gets: string[] = []
  let passed = 0
  let count = 0
  const { hostname, port } = new URL(target)
  const server = createServer((incoming, outgoing) => {
    const url = incoming.url ?? ''
    // Of S3 and of web servers, and of GCS what does not ask for metadata.
    const isBody = incoming.method === 'GET' && !/[?&](list-type|versions|location|versioning|prefix)|^\/storage\/v1\/(?!.*[?&]alt=media)/.test(url)
    if (isBody) gets.push(url)
    const lie = isBody && told?.path.test(decodeURIComponent(url)) === true ? (told.lies.next().value as Lie | undefined) : undefined
    const refuses = refused?.path.test(decodeURIComponent(url)) === true && refused.times-- > 0
    if (lie !== undefined) count++
    if (lie === 503 || refuses) {
      incoming.resume()
      outgoing.writeHead(503, { 'content-type': 'application/xml' }).end('<Error><Code>SlowDown</Code><Message>later</Message></Error>')
      return
    }
    const onward = request({ hostname, port, method: incoming.method, path: url, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      let first = true
      const spoil = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          passed += isBody ? chunk.length : 0
          const begins = first
          first = false
          if (lie === 'flip' && begins) chunk[0] = (chunk[0] as number) ^ 1
          if (lie === 'cut') {
            outgoing.write(chunk.subarray(0, Math.max(0, chunk.length - 1)), () => outgoing.destroy())
            return
          }
          if (lie === 'stall' && !begins) return
          done(null, chunk)
        },
      })
      answer.on('error', () => outgoing.destroy())
      answer.pipe(spoil).pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lie(path, lies) {
      told = { path, lies: lies[Symbol.iterator]() }
      count = 0
    },
    told: () => count,
    refuse: (path, times) => void (refused = { path, times }),
    gets: () => gets,
    passed: () => passed,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The same lie for ever. */
export function* always(lie: Lie): Generator<Lie> {
  for (;;) yield lie
}
