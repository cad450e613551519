import { open } from 'node:fs/promises'
import { VarveError } from '../model/errors.ts'
import type { VersionView } from '../model/version.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Registry } from '../registry/registry.ts'
import type { Context, Options } from './context.ts'
import { Check, lineOf } from './exported.ts'
import type { Header, Line } from './exported.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { intoFile } from './target.ts'

export interface ExportOptions extends Options {
  readonly format?: 'jsonl' | 'parquet'
  readonly force?: boolean
}

/** Writes a version to a file, or without one (or to `-`) to stdout: a header, then its entries in path order. Throws CONFLICT for a file that is there, unless forced. */
export async function exportVersion(context: Context, name: string, file: string | undefined, options: ExportOptions): Promise<void> {
  const place = await placeOf(context, options)
  const { format = 'jsonl', force = false } = options
  const toFile = file !== undefined && file !== '-'
  if (!toFile && format === 'parquet' && context.screen.terminal)
    throw new VarveError('USAGE', 'Parquet is no text for a terminal', { hint: 'name a file: varve export project/name:v3 FILE --format parquet' })
  const { collection, version } = parseVersion(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    // The alias may move while the entries are listed: they are of what it stood for.
    const view = await registry.version(collection, version)
    const header: Header = { varve: 'version/1', version: view }
    const lines = linesOf(registry, collection, view, context.signal)
    const write = format === 'parquet' ? (await import('./parquet.ts')).writeParquet : writeLines
    if (!toFile) return write(context.screen.bytes, header, lines)
    await intoFile(file, place.dataFolder, force, async (temporary) => {
      const handle = await open(temporary, 'wx')
      try {
        await write((bytes) => handle.writeFile(bytes), header, lines)
      } finally {
        await handle.close()
      }
    })
  })
}

async function writeLines(put: (bytes: Uint8Array) => Promise<void>, header: Header, pages: AsyncIterable<readonly Line[]>): Promise<void> {
  await put(Buffer.from(`${JSON.stringify(header)}\n`))
  for await (const page of pages) await put(Buffer.from(page.map((line) => `${JSON.stringify(line)}\n`).join('')))
}

/** Throws CONFLICT when what was listed is not the version: it was removed meanwhile. */
async function* linesOf(registry: Registry, collection: CollectionName, view: VersionView, signal: AbortSignal): AsyncGenerator<readonly Line[]> {
  const check = new Check()
  for await (const page of registry.holdings(collection, view.version)) {
    signal.throwIfAborted()
    for (const { path, sizeBytes, content } of page) check.add(path, sizeBytes, content, view.version)
    yield page.map(lineOf)
  }
  const trouble = check.trouble(view)
  if (trouble !== undefined)
    throw new VarveError('CONFLICT', `the export of ${view.artifact}:${view.version} is not whole: ${trouble}`, { hint: 'was it removed meanwhile? varve fsck says whether the registry is sound' })
}
