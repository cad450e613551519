import type { Context, Options } from './context.ts'
import { reading } from './place.ts'
import { formatArtifact, formatCount, formatSize, formatWhen, visible } from './words.ts'

/** Prints the collections of a project, or all, in name order. */
export function ls(context: Context, project: string | undefined, options: Options): Promise<void> {
  return reading(context, options, async (registry, { defaultEntity }) => {
    const collections = await registry.collections(project)
    if (options.json === true) return context.screen.json(collections)
    if (collections.length === 0) return context.screen.note('no artifacts yet')
    const { tableLines } = await import('./table.ts')
    const now = context.clock.now()
    const rows = collections.map((one) => [
      formatArtifact(one, defaultEntity),
      visible(one.type),
      one.head ?? '-',
      formatCount(one.versions),
      formatCount(one.entries),
      formatSize(one.sizeBytes),
      one.updatedAt === undefined ? '-' : formatWhen(one.updatedAt, now),
    ])
    return context.screen.print(...tableLines(['artifact', 'type', 'head', 'versions', 'entries', 'size', 'updated'], rows, ['versions', 'entries', 'size']))
  })
}
