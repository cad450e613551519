import type { Context, Options } from './context.ts'
import { placeOf, reading } from './place.ts'
import { formatArtifact, formatCount, formatSize, formatWhen, visible } from './words.ts'

const HEAD = ['artifact', 'type', 'head', 'versions', 'entries', 'size', 'updated']

/** Prints the collections of a project, or all, in name order. */
export async function ls(context: Context, project: string | undefined, options: Options): Promise<void> {
  const place = await placeOf(context, options)
  return reading(context, place, async (registry) => {
    const collections = await registry.collections(project)
    if (options.json === true) return context.screen.json(collections)
    if (collections.length === 0) return context.screen.note('no artifacts yet')
    const { tableLines } = await import('./table.ts')
    const now = context.clock.now()
    const rows = collections.map((one) => [
      formatArtifact(one, place.defaultEntity),
      visible(one.type),
      one.head ?? '-',
      formatCount(one.versions),
      formatCount(one.entries),
      formatSize(one.sizeBytes),
      one.updatedAt === undefined ? '-' : formatWhen(one.updatedAt, now),
    ])
    return context.screen.print(...tableLines(HEAD, rows, ['versions', 'entries', 'size']))
  })
}
