import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { loopback } from './loopback.ts'
import type { Loopback } from './loopback.ts'

/** Who asked to be whom, for what. */
export interface Impersonation {
  readonly by: string | undefined
  readonly account: string
  readonly scope: unknown
}

/** A small IAM credentials API: it lets everybody impersonate every account, until it is told not to. Its tokens are `token-1`, `token-2`… */
export class FakeIam {
  readonly asked: Impersonation[] = []
  /** How long what it gives lasts. */
  lastsMs = 3_600_000
  /** Answers every request with this status. */
  refuses: number | undefined
  readonly #at: Loopback

  private constructor(at: Loopback) {
    this.#at = at
  }

  static async start(): Promise<FakeIam> {
    const fake: FakeIam = new FakeIam(await loopback((request, response) => void fake.#answer(request, response)))
    return fake
  }

  get url(): string {
    return this.#at.url
  }

  stop(): Promise<void> {
    return this.#at.stop()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { scope } = JSON.parse(await text(request)) as { scope?: unknown }
    const [, account = ''] = /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(request.url ?? '') ?? []
    this.asked.push({ by: request.headers.authorization, account, scope })
    const answer = (status: number, body: unknown): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (this.refuses !== undefined) return answer(this.refuses, { error: { code: this.refuses, message: 'no such permission', status: 'PERMISSION_DENIED' } })
    answer(200, { accessToken: `token-${this.asked.length}`, expireTime: new Date(Date.now() + this.lastsMs).toISOString() })
  }
}
