import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { loopback } from './loopback.ts'
import type { Loopback } from './loopback.ts'
import { keyIdOf } from './s3.ts'

/** Who assumed what. */
export interface Assumption {
  readonly by: string
  readonly role: string
  readonly session: string
  /** The access key that was given. */
  readonly given: string
}

/** A small STS: it lets everybody assume every role, until it is told not to. */
export class FakeSts {
  readonly assumptions: Assumption[] = []
  /** How long what it gives lasts. */
  lastsMs = 3_600_000
  /** Answers every request with this. */
  refuses: readonly [status: number, code: string] | undefined
  readonly #at: Loopback

  private constructor(at: Loopback) {
    this.#at = at
  }

  static async start(): Promise<FakeSts> {
    const fake: FakeSts = new FakeSts(await loopback((request, response) => void fake.#answer(request, response)))
    return fake
  }

  get url(): string {
    return this.#at.url
  }

  stop(): Promise<void> {
    return this.#at.stop()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = new URLSearchParams(await text(request))
    const answer = (status: number, xml: string): void => void response.writeHead(status, { 'content-type': 'text/xml' }).end(xml)
    if (this.refuses !== undefined) {
      const [status, code] = this.refuses
      return answer(status, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`)
    }
    const given = `ASIA${String(this.assumptions.length + 1).padStart(16, '0')}`
    this.assumptions.push({ by: keyIdOf(request) ?? '', role: asked.get('RoleArn') ?? '', session: asked.get('RoleSessionName') ?? '', given })
    const expiration = new Date(Date.now() + this.lastsMs).toISOString()
    answer(200, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>${given}</AccessKeyId>`
      + `<SecretAccessKey>secret-of-${given}</SecretAccessKey><SessionToken>token-of-${given}</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
  }
}
