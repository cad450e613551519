import { addAbortSignal } from 'node:stream'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { HeadObjectCommand, ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3'
import type { HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import type { Counter } from '../bucket-store.ts'
import { parsePage } from './page.ts'
import type { Page } from './page.ts'

/** Where a page begins; empty for the first. */
export interface Cursor {
  readonly next?: string
  readonly nextVersion?: string
}

/** The three questions that are ever asked of a bucket. Each throws what the SDK throws. */
export class Bucket {
  readonly #client: S3Client
  readonly #name: string

  constructor(client: S3Client, name: string) {
    this.#client = client
    this.#name = name
  }

  /** A page of all versions and delete markers under `prefix`. Throws STORAGE_INVALID for a page that is not whole. */
  async versions(prefix: string, cursor: Cursor, counter: Counter, signal: AbortSignal): Promise<Page> {
    const { next: KeyMarker, nextVersion: VersionIdMarker } = cursor
    const command = new ListObjectVersionsCommand({ Bucket: this.#name, Prefix: prefix, EncodingType: 'url', KeyMarker, VersionIdMarker })
    const taken: Taken = { text: '' }
    command.middlewareStack.addRelativeTo(takeBody(taken, counter, signal), TAKING)
    await this.#client.send(command, { abortSignal: signal })
    return parsePage(taken.text, 'ListVersionsResult')
  }

  /** A page of the objects under `prefix` as they are now, at most `most`. Throws STORAGE_INVALID for a page that is not whole. */
  async objects(prefix: string, cursor: Cursor, counter: Counter, signal: AbortSignal, most = 1_000): Promise<Page> {
    const { next: ContinuationToken } = cursor
    const command = new ListObjectsV2Command({ Bucket: this.#name, Prefix: prefix, EncodingType: 'url', ContinuationToken, MaxKeys: most })
    const taken: Taken = { text: '' }
    command.middlewareStack.addRelativeTo(takeBody(taken, counter, signal), TAKING)
    await this.#client.send(command, { abortSignal: signal })
    return parsePage(taken.text, 'ListBucketResult')
  }

  async head(key: string, checksums: boolean, signal: AbortSignal): Promise<HeadObjectCommandOutput> {
    const command = new HeadObjectCommand({ Bucket: this.#name, Key: key, ...(checksums && { ChecksumMode: 'ENABLED' }) })
    return this.#client.send(command, { abortSignal: signal })
  }

  close(): void {
    this.#client.destroy()
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
