import type { S3Client } from '@aws-sdk/client-s3'
import type { Clock } from '../../model/clock.ts'
import type { Skew } from '../probe.ts'

/** What answers tell besides what was asked, however they end. */
export interface Wire {
  /** True once anything was answered. */
  answered(): boolean
  /** Where the bucket lies, as S3 says even when it refuses. */
  region(): string | undefined
  /** What the store calls itself: `MinIO`. */
  server(): string
  /** How far the store's clock is from this one. */
  skew(): Skew | undefined
}

const LISTENING = { relation: 'after', toMiddleware: 'deserializerMiddleware', name: 'varveListensIn' } as const
// A Date header tells whole seconds.
const TICK_MS = 1_000

/** Reads the headers of all that `client` is answered from now on. */
export function listenIn(client: S3Client, clock: Clock): Wire {
  let region: string | undefined
  let server = ''
  let skew: Skew | undefined
  let answered = false
  const hear = (headers: Readonly<Record<string, string>>, sentMs: number, cameMs: number): void => {
    answered = true
    server = headers['server'] ?? server
    region = headers['x-amz-bucket-region'] ?? region
    const toldMs = Date.parse(headers['date'] ?? '')
    const now = { aheadMs: toldMs + TICK_MS / 2 - (sentMs + cameMs) / 2, unsureMs: (TICK_MS + cameMs - sentMs) / 2 }
    // The quicker the answer, the surer.
    if (!Number.isNaN(toldMs) && now.unsureMs < (skew?.unsureMs ?? Infinity)) skew = now
  }
  client.middlewareStack.addRelativeTo(listening(hear, clock), LISTENING)
  return { answered: () => answered, region: () => region, server: () => server, skew: () => skew }
}

function listening(hear: (headers: Readonly<Record<string, string>>, sentMs: number, cameMs: number) => void, clock: Clock) {
  return <Arguments, Result extends { response: unknown }>(next: (args: Arguments) => Promise<Result>) =>
    async (args: Arguments): Promise<Result> => {
      const sentMs = clock.now()
      const result = await next(args)
      hear((result.response as { headers: Readonly<Record<string, string>> }).headers, sentMs, clock.now())
      return result
    }
}
