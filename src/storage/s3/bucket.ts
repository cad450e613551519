import { addAbortSignal } from 'node:stream'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3'
import type { GetObjectCommandInput, GetObjectCommandOutput, HeadObjectCommandInput, HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import type { Counter } from '../bucket-store.ts'
import { parsePage } from './page.ts'
import type { Page } from './page.ts'

/** Where a page begins; empty for the first. */
export interface Cursor {
  readonly next?: string
  readonly nextVersion?: string
}

/** Which object version, and on what condition. */
export type Which = Pick<GetObjectCommandInput & HeadObjectCommandInput, 'VersionId' | 'IfMatch' | 'PartNumber' | 'Range'>

/** The few questions that are ever asked of a bucket. Each throws what the SDK throws. */
export class Bucket {
  readonly #client: S3Client
  readonly #name: string

  constructor(client: S3Client, name: string) {
    this.#client = client
    this.#name = name
  }

  /** A page of all versions and delete markers under `prefix`, at most `most`. Throws STORAGE_INVALID for a page that is not whole. */
  async versions(prefix: string, cursor: Cursor, counter: Counter, signal: AbortSignal, most = 1_000, asked: Asked = {}): Promise<Page> {
    const { next: KeyMarker, nextVersion: VersionIdMarker } = cursor
    const command = new ListObjectVersionsCommand({ Bucket: this.#name, Prefix: prefix, EncodingType: 'url', KeyMarker, VersionIdMarker, MaxKeys: most, ...optional(asked) })
    const taken: Taken = { text: '' }
    command.middlewareStack.addRelativeTo(takeBody(taken, counter, signal), TAKING)
    await this.#client.send(command, { abortSignal: signal })
    return parsePage(taken.text, 'ListVersionsResult', this.#name)
  }

  /** A page of the objects under `prefix` as they are now, at most `most`. Throws STORAGE_INVALID for a page that is not whole. */
  async objects(prefix: string, cursor: Cursor, counter: Counter, signal: AbortSignal, most = 1_000, asked: Asked = {}): Promise<Page> {
    const { next: ContinuationToken } = cursor
    const { after: StartAfter } = asked
    const command = new ListObjectsV2Command({ Bucket: this.#name, Prefix: prefix, EncodingType: 'url', ContinuationToken, MaxKeys: most, StartAfter, ...optional(asked) })
    const taken: Taken = { text: '' }
    command.middlewareStack.addRelativeTo(takeBody(taken, counter, signal), TAKING)
    await this.#client.send(command, { abortSignal: signal })
    return parsePage(taken.text, 'ListBucketResult', this.#name)
  }

  async head(key: string, checksums: boolean, signal: AbortSignal, which: Which = {}): Promise<HeadObjectCommandOutput> {
    const command = new HeadObjectCommand({ Bucket: this.#name, Key: key, ...which, ...(checksums && { ChecksumMode: 'ENABLED' }) })
    return this.#client.send(command, { abortSignal: signal })
  }

  /** The head of an answer, and its body as it comes: whoever does not read it to the end destroys it. `signal` ends it until then. */
  async get(key: string, which: Which, signal: AbortSignal): Promise<GetObjectCommandOutput & { readonly Body: Readable }> {
    const command = new GetObjectCommand({ Bucket: this.#name, Key: key, ...which })
    // Asked of the SDK it would digest the bytes as well, and throw what is for others to tell. Of a range some stores tell the checksum of the part.
    if (which.Range === undefined) command.middlewareStack.add(asksForChecksums, { step: 'build', name: 'varveAsksForChecksums' })
    return (await this.#client.send(command, { abortSignal: signal })) as GetObjectCommandOutput & { readonly Body: Readable }
  }

  close(): void {
    this.#client.destroy()
  }
}

/** What else a listing is asked. */
interface Asked {
  /** Only what follows this key. */
  readonly after?: string
  /** With what was restored from an archive. */
  readonly restored?: true
}

function optional({ restored }: Asked): { OptionalObjectAttributes?: 'RestoreStatus'[] } {
  return restored === undefined ? {} : { OptionalObjectAttributes: ['RestoreStatus'] }
}

function asksForChecksums<Arguments extends { request?: unknown }, Result>(next: (args: Arguments) => Promise<Result>) {
  return (args: Arguments): Promise<Result> => {
    Object.assign((args.request as { headers: Record<string, string> }).headers, { 'x-amz-checksum-mode': 'ENABLED' })
    return next(args)
  }
}

interface Taken {
  text: string
}

const TAKING = { relation: 'after', toMiddleware: 'deserializerMiddleware', name: 'varveTakesBody' } as const
const NOTHING = Buffer.from('<Nothing/>')

/** Takes the body of an answer before the SDK parses it. It is read within the SDK's tries: a page that breaks off is asked for again. */
function takeBody(taken: Taken, counter: Counter, signal: AbortSignal) {
  return <Arguments, Result extends { response: unknown }>(next: (args: Arguments) => Promise<Result>) =>
    async (args: Arguments): Promise<Result> => {
      counter.requests++
      const result = await next(args)
      const response = result.response as { statusCode: number; body: Readable | Uint8Array }
      if (response.statusCode === 200) {
        taken.text = await text(addAbortSignal(signal, response.body as Readable))
        response.body = NOTHING
      }
      return result
    }
}
