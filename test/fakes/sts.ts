import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
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
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<FakeSts> {
    const server = createServer()
    const fake = new FakeSts(server)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void fake.#answer(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return fake
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
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
