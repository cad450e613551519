import type { VersionView } from '../model/version.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Registry } from '../registry/registry.ts'
import type { Context, Options } from './context.ts'
import { parseArtifact } from './names.ts'
import { placeOf, reading } from './place.ts'
import { formatChanges, formatCount, formatRestorability, formatSize, formatWhen, unreadIn, visible } from './words.ts'

/** Prints the versions of an artifact, newest first. */
export async function log(context: Context, artifact: string, options: Options): Promise<void> {
  const place = await placeOf(context, options)
  const collection = parseArtifact(artifact, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const pages = registry.versions(collection)
    if (options.json === true) {
      for await (const page of pages) await context.screen.json(page)
      return
    }
    const { tableLines } = await import('./table.ts')
    let first = true
    for await (const page of pages) {
      const lines = tableLines(HEAD, page.map((view) => cells(view, context.clock.now())), ['entries', 'size'])
      await context.screen.print(...lines.slice(first ? 0 : 1))
      first = false
    }
    if (first) context.screen.note(await noneOf(registry, collection))
  })
}

async function noneOf(registry: Registry, { entity, project, collection }: CollectionName): Promise<string> {
  const next = (await registry.collections(`${entity}/${project}`)).find(({ artifact }) => artifact === `${project}/${collection}`)?.next
  return next === undefined || next === 'v0' ? 'no versions yet' : `no versions any more: all were removed, and the next will be ${next}`
}

const HEAD = ['version', 'made', 'changes', 'entries', 'size', 'cause', 'restorable', 'aliases']

function cells(view: VersionView, now: number): string[] {
  return [
    view.version,
    formatWhen(view.createdAt, now),
    // Else a removal for want of permission would read like any other.
    unreadIn(view.certificate) === 0 ? formatChanges(view.changes) : `${formatChanges(view.changes)} (${formatCount(unreadIn(view.certificate))} unreadable)`,
    formatCount(view.entries),
    formatSize(view.sizeBytes),
    view.cause,
    formatRestorability(view),
    view.aliases.map(visible).join(', '),
  ]
}
