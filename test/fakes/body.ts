// How fakes send the bytes of an object: well, or as a broken proxy does.
import type { ServerResponse } from 'node:http'

/** `cut`: it breaks off half way. `stall`: it stops there and stays. `flip`: one bit is another. `long`: more comes than was said. `short`: less, and ends as if that were all. `whole`: ranges are not known. */
export type Spoil = 'cut' | 'stall' | 'flip' | 'long' | 'short' | 'whole'

export interface Sent {
  readonly bytes: Buffer
  /** The Range header. */
  readonly range: string | undefined
  readonly spoil: Spoil | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** Answers with the bytes, or those of a range; false, and nothing sent, for a range that lies behind the end. */
export function sendBytes(response: ServerResponse, { bytes, range, spoil, headers }: Sent): boolean {
  const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(spoil === 'whole' ? '' : (range ?? '')) ?? []
  const begin = Number(from ?? 0)
  const end = Math.min(bytes.length, last === undefined ? Infinity : Number(last) + 1)
  if (from !== undefined && begin >= bytes.length) return false
  let body = bytes.subarray(begin, end)
  const told: Record<string, string> = { ...headers, ...(from !== undefined && { 'content-range': `bytes ${begin}-${end - 1}/${bytes.length}` }) }
  if (spoil === 'flip') {
    body = Buffer.from(body)
    body.writeUInt8((body[body.length >> 1] as number) ^ 1, body.length >> 1)
  }
  const half = body.subarray(0, body.length >> 1)
  // Without Content-Length nobody but the reader can tell.
  if (spoil !== 'long' && spoil !== 'short') told['content-length'] = `${body.length}`
  response.writeHead(from === undefined ? 200 : 206, told)
  if (spoil === 'cut') response.write(half, () => response.destroy())
  else if (spoil === 'stall') response.write(half)
  else response.end(spoil === 'long' ? Buffer.concat([body, Buffer.from('more')]) : spoil === 'short' ? half : body)
  return true
}
