/** What can go wrong: one class, one table. The queue reads `retry`, REST will read `http`, `main` reads `exit`. */
export const FAILURES = {
  USAGE: { retry: false, http: 400, exit: 2 },
  CONFIG_INVALID: { retry: false, http: 422, exit: 78 },
  NOT_FOUND: { retry: false, http: 404, exit: 1 },
  CONFLICT: { retry: false, http: 409, exit: 1 },
  /** The registry's folder cannot be used (network mount, locked by another daemon, newer schema). */
  REGISTRY_REFUSED: { retry: false, http: 503, exit: 1 },
  REGISTRY_BUSY: { retry: true, http: 503, exit: 1 },
  /** The disk under `data` is full or failing: nothing was recorded, nothing is acknowledged. */
  REGISTRY_FULL: { retry: true, http: 507, exit: 1 },
  /** The root of a location is not there: unmounted, deleted, no such bucket. Mounts and buckets come back. */
  LOCATION_MISSING: { retry: true, http: 502, exit: 1 },
  LOCATION_DENIED: { retry: false, http: 502, exit: 1 },
  CREDENTIALS: { retry: false, http: 502, exit: 1 },
  /** 5xx, throttled, timed out, connection reset. */
  STORAGE_UNAVAILABLE: { retry: true, http: 503, exit: 1 },
  /** A store answered what cannot be right: out of order, truncated without a token, no end. */
  STORAGE_INVALID: { retry: true, http: 502, exit: 1 },
  /** Something under the prefix could not be read and `on_unreadable` is `fail`. */
  UNREADABLE: { retry: true, http: 502, exit: 1 },
  OVERSIZE: { retry: true, http: 422, exit: 1 },
  /** A guard wants a person. */
  HELD: { retry: true, http: 409, exit: 1 },
  EMPTY: { retry: true, http: 409, exit: 1 },
  /** What was looked at did not hold still, or another look overtook this one. */
  OVERTAKEN: { retry: true, http: 409, exit: 1 },
  /** The bytes are there, in a storage class that must be thawed first. */
  ARCHIVED: { retry: false, http: 409, exit: 1 },
  /** Some of a version cannot come back: `losses` tells what, and why. Nothing was written, or with `--partial` the rest. */
  LOST: { retry: false, http: 409, exit: 1 },
  /** Where a restore, an export or a backup is to write cannot be written: no space, no permission, another restore works there. What is in place already stays. */
  DESTINATION_REFUSED: { retry: true, http: 507, exit: 1 },
  QUEUE_UNAVAILABLE: { retry: true, http: 503, exit: 1 },
  QUEUE_REFUSED: { retry: false, http: 503, exit: 1 },
  /** The daemon cannot have the address that it is to listen on. */
  LISTEN_REFUSED: { retry: false, http: 503, exit: 1 },
} as const

export type FailureCode = keyof typeof FAILURES

/** An error that Varve knows: what happened (`message`: one line, for CONFIG_INVALID one per mistake), and what to do (`hint`). */
export class VarveError extends Error {
  readonly code: FailureCode
  readonly hint: string | undefined
  /** Of LOST: every entry that cannot be restored, in path order. */
  readonly losses: readonly Loss[]

  constructor(code: FailureCode, message: string, options: { hint?: string; cause?: unknown; losses?: readonly Loss[] } = {}) {
    super(scrub(message), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'VarveError'
    this.code = code
    this.hint = options.hint
    this.losses = options.losses ?? []
  }
}

/** An entry whose bytes cannot come back, or not to where they were wanted. */
export interface Loss {
  readonly path: string
  readonly reason: LossReason
  /** One line: where it was looked for, and what was found. */
  readonly words: string
}

export type LossReason =
  /** Nothing is there any more / other bytes are there / the pinned object version is gone, and the current one is other bytes. */
  | 'removed' | 'overwritten' | 'expired'
  | 'archived' | 'denied' | 'unreachable'
  /** What came was not what was recorded, however often it was asked for. */
  | 'corrupt'
  /** The destination cannot hold a file of that name. */
  | 'name'

/** True for errors made by Varve with this code, or with any code when none is given. */
export function isFailure(error: unknown, code?: FailureCode): error is VarveError {
  const known = error as Partial<VarveError> | null | undefined
  return known?.name === 'VarveError' && known.code !== undefined && (code === undefined || known.code === code)
}

/** True when trying again later may help. An unknown error is a bug: it is retried, loudly. */
export function isRetryable(error: unknown): boolean {
  return isFailure(error) ? FAILURES[error.code].retry : true
}

/** One line without credentials, URL queries or control characters: fit for logs, `status` and terminals. */
export function describe(error: unknown): string {
  const text = (error as { message?: unknown } | null | undefined)?.message
  return scrub(typeof text === 'string' && text !== '' ? text : String(error)).replace(/[\r\n]+/g, ' ')
}

/** Takes `user:password@` and `?query` out of every URL in `text`. */
export function scrub(text: string): string {
  return text
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"']*@/gi, '$1')
    .replace(/\b(https?:\/\/[^\s?#"']*)\?[^\s"']*/gi, '$1?…')
}
