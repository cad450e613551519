import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { describe, VarveError } from '../model/errors.ts'
import { entryOf, parsed, parseHeader, wrong } from './exported.ts'
import type { Entry, Header, Line } from './exported.ts'

// A row group stands in memory whole, with what it is encoded to: some 20 MB.
const GROUP_ROWS = 20_000
const HEADER_KEY = 'varve'

const TEXT = { type: 'BYTE_ARRAY', converted_type: 'UTF8' } as const
const REQUIRED = { repetition_type: 'REQUIRED' } as const
const OPTIONAL = { repetition_type: 'OPTIONAL' } as const
// Checksums are a map whose keys differ from store to store: one text in JSON.
const COLUMNS = [
  { name: 'path', ...TEXT, ...REQUIRED }, { name: 'reference', ...TEXT, ...REQUIRED }, { name: 'endpoint', ...TEXT, ...OPTIONAL },
  { name: 'sizeBytes', type: 'INT64', ...REQUIRED }, { name: 'digest', ...TEXT, ...REQUIRED }, { name: 'identity', ...TEXT, ...OPTIONAL }, { name: 'pin', ...TEXT, ...OPTIONAL },
  { name: 'latestPin', ...TEXT, ...OPTIONAL }, { name: 'etag', ...TEXT, ...OPTIONAL }, { name: 'checksums', ...TEXT, ...OPTIONAL },
] as const

type Cell = string | bigint | undefined

function cellOf(line: Line, name: (typeof COLUMNS)[number]['name']): Cell {
  if (name === 'sizeBytes') return BigInt(line.sizeBytes)
  if (name === 'checksums') return line.checksums === undefined ? undefined : JSON.stringify(line.checksums)
  return line[name]
}

/** Writes row group by row group: memory stays flat. The bytes that `put` is handed are overwritten when it resolves. */
export async function writeParquet(put: (bytes: Uint8Array) => Promise<void>, header: Header, pages: AsyncIterable<readonly Line[]>): Promise<void> {
  const bytes = new ByteWriter()
  const drain = async (): Promise<void> => {
    await put(new Uint8Array(bytes.buffer, 0, bytes.index))
    bytes.index = 0
  }
  const writer = new ParquetWriter({
    writer: bytes, schema: [{ name: 'root', num_children: COLUMNS.length }, ...COLUMNS], createdBy: 'varve', kvMetadata: [{ key: HEADER_KEY, value: JSON.stringify(header) }],
  })
  const write = async (lines: readonly Line[]): Promise<void> => {
    const columnData = COLUMNS.map(({ name }) => ({ name, data: lines.map((line) => cellOf(line, name)), offsetIndex: false }))
    await writer.write({ columnData, rowGroupSize: GROUP_ROWS })
    await drain()
  }
  let group: Line[] = []
  for await (const page of pages) {
    group.push(...page)
    if (group.length < GROUP_ROWS) continue
    await write(group)
    group = []
  }
  if (group.length > 0) await write(group)
  await writer.finish()
  await drain()
}

/** True for a file that begins as Parquet does. */
export async function isParquet(file: string): Promise<boolean> {
  let handle: FileHandle | undefined
  try {
    handle = await open(file, 'r')
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
    return bytesRead === 4 && buffer.toString('latin1') === 'PAR1'
  } catch (error) {
    throw new VarveError('NOT_FOUND', `${file} cannot be read (${describe(error)})`, { hint: 'name what varve export wrote' })
  } finally {
    await handle?.close()
  }
}

/** Reads the file row group by row group: first its header, then pages of its entries, in the order of the file. Throws USAGE, naming the row of `name`. */
export async function readParquet(file: string, name: string): Promise<{ readonly header: Header; readonly pages: AsyncIterable<readonly Entry[]> }> {
  const broken = (error: unknown): never => {
    throw error instanceof VarveError ? error : Object.assign(wrong(name, 'it cannot be read as Parquet: it is damaged'), { cause: error })
  }
  const buffer = await asyncBufferFromFile(file)
  const metadata = await parquetMetadataAsync(buffer).catch(broken)
  const text = metadata.key_value_metadata?.find(({ key }) => key === HEADER_KEY)?.value
  if (text === undefined) throw wrong(name, 'it is no exported version: it has no metadata of Varve')
  return { header: parseHeader(text, name), pages: pages() }

  async function* pages(): AsyncGenerator<readonly Entry[]> {
    let row = 0
    for (const group of metadata.row_groups) {
      const rowEnd = row + Number(group.num_rows)
      const rows: readonly Readonly<Record<string, unknown>>[] = await parquetReadObjects({ file: buffer, metadata, rowStart: row, rowEnd, parsers: { stringFromBytes } }).catch(broken)
      if (rows.length !== rowEnd - row) throw wrong(name, 'a row group is cut short')
      yield rows.map((cells, i) => entryOf(lineFrom(cells, `${name} row ${row + i + 1}`), `${name} row ${row + i + 1}`))
      row = rowEnd
    }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A mark of byte order may be what a name begins with. */
function stringFromBytes(bytes: Uint8Array | undefined): string | undefined {
  return bytes && UTF8.decode(bytes)
}

function lineFrom(cells: Readonly<Record<string, unknown>>, where: string): object {
  const present = Object.entries(cells).filter(([, cell]) => cell !== null && cell !== undefined)
  return Object.fromEntries(present.map(([name, cell]) => {
    if (typeof cell === 'bigint') return [name, Number(cell)]
    return [name, name === 'checksums' && typeof cell === 'string' ? parsed(cell, where) : cell]
  }))
}
