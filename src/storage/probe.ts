// What the probes of all schemes share.
import type { Clock } from '../model/clock.ts'
import { VarveError } from '../model/errors.ts'

/** What probes are given. */
export interface Means {
  readonly clock: Clock
  /** How long one question may take: what hangs must not hang the rest. */
  readonly boundMs: number
  /** Where SQS is when the URLs of queues do not say so themselves. */
  readonly sqsEndpoint?: string
}

/** A question takes some milliseconds; what a bad line and three tries need is well below that. */
export const BOUND_MS = 10_000

/** Asks, and throws STORAGE_UNAVAILABLE when no answer came within the bound; what was asked is then given up by its signal. */
export async function within<T>({ clock, boundMs }: Means, signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController()
  const done = new AbortController()
  const late = clock.sleep(boundMs, AbortSignal.any([signal, done.signal])).then((): never => {
    over.abort()
    signal.throwIfAborted()
    throw new VarveError('STORAGE_UNAVAILABLE', silence(boundMs), { hint: 'check endpoint and network' })
  })
  // It ends so after every answer.
  late.catch(() => undefined)
  try {
    return await Promise.race([ask(AbortSignal.any([signal, over.signal])), late])
  } finally {
    done.abort()
  }
}

/** What a person is to do about a failure: here nobody tries again. */
export function actionOf({ hint }: VarveError): string | undefined {
  return hint?.replace(/^it is tried again; |; it is tried again$|; nothing was recorded$/g, '')
}

export function silence(boundMs: number): string {
  return `no answer within ${boundMs / 1_000} s`
}

// What the clocks of machines on a synchronised network differ by is well below that.
const SKEW_MOST_MS = 5_000

/** How far a clock is from this one: positive, it is ahead. Within `unsureMs` it cannot be told. */
export interface Skew {
  readonly aheadMs: number
  readonly unsureMs: number
}

/** True for clocks that differ by more than they may. */
export function isSkewed({ aheadMs, unsureMs }: Skew, mostMs = SKEW_MOST_MS): boolean {
  return Math.abs(aheadMs) - unsureMs > mostMs
}

/** `8 s ahead of`. */
export function skewWords({ aheadMs }: Skew): string {
  return `${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`
}
