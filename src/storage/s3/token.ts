import { createHash, timingSafeEqual } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Clock } from '../../model/clock.ts'
import { describe, VarveError } from '../../model/errors.ts'

// A token has some dozen characters; what is larger is another file.
const BYTES_MAX = 4_096
// How long a token that was taken out of its file may still open.
const FRESH_MS = 1_000

/** What whoever posts must show: the token that a file holds. Only its digest is kept. */
export class Token {
  readonly #file: string
  readonly #clock: Pick<Clock, 'monotonic'>
  #read: { readonly atMs: number; readonly digest: Promise<Buffer> } | undefined

  constructor(file: string, clock: Pick<Clock, 'monotonic'>) {
    this.#file = file
    this.#clock = clock
  }

  /**
   * True when `authorization` shows the token that the file holds now, or held a second ago: as a bearer token, by itself, or as the password of any user. Takes as
   * long for a wrong one as for the right one. Throws CONFIG_INVALID while the file holds none.
   */
  async isShown(authorization: string | undefined): Promise<boolean> {
    const token = await this.digest()
    return readings(authorization ?? '').map((shown) => timingSafeEqual(digestOf(shown), token)).includes(true)
  }

  /** Throws CONFIG_INVALID when the file cannot be read, is empty, or holds what is no token. */
  digest(): Promise<Buffer> {
    const now = this.#clock.monotonic()
    if (this.#read === undefined || now - this.#read.atMs >= FRESH_MS) {
      this.#read = { atMs: now, digest: readToken(this.#file).then(digestOf) }
      // Who asks hears of it.
      this.#read.digest.catch(() => undefined)
    }
    return this.#read.digest
  }
}

/** MinIO sends what it was given, with `Bearer` before it where that was one word; versitygw and Ceph send user and password of the URL that they were given. */
function readings(authorization: string): string[] {
  const [, scheme = '', shown = ''] = /^(bearer|basic) +(\S+)$/i.exec(authorization) ?? []
  if (scheme.toLowerCase() !== 'basic') return [authorization, shown]
  return [authorization, Buffer.from(shown, 'base64').toString().replace(/^[^:]*:/s, '')]
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** The token in that file. Throws CONFIG_INVALID. */
export async function readToken(file: string): Promise<string> {
  const refuse = (what: string, cause?: unknown): VarveError =>
    new VarveError('CONFIG_INVALID', `the token file ${file} ${what}`, { cause, hint: 'write one into it, such as the output of: openssl rand -hex 32' })
  let bytes: Buffer
  try {
    const handle = await open(file)
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(BYTES_MAX + 1), 0, BYTES_MAX + 1, 0)
      bytes = buffer.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw refuse(`cannot be read (${(error as NodeJS.ErrnoException).code ?? describe(error)})`, error)
  }
  // Whoever copied what MinIO is told may have copied this, too.
  const token = bytes.toString('latin1').replace(/\r?\n$/, '').replace(/^bearer +/i, '')
  if (token === '') throw refuse('is empty')
  if (bytes.length > BYTES_MAX || !/^[\x21-\x7e]+$/.test(token)) throw refuse('holds no token: one line of printable ASCII without spaces')
  return token
}
