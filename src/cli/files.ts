import type { EntryView } from '../model/version.ts'
import type { Context, Options } from './context.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { formatSize, visible } from './words.ts'

/** Prints the entries of a version in path order: all, the one at `path`, or all under `path/`. Throws NOT_FOUND when `path` names nothing. */
export async function files(context: Context, name: string, path: string | undefined, options: Options): Promise<void> {
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    for await (const page of registry.entries(collection, version, path?.replace(/\/+$/, '')))
      if (options.json === true) await context.screen.json(page)
      else await context.screen.print(...page.map(line))
  })
}

// A million lines cannot be measured before the first is printed: the columns have fixed widths.
function line(entry: EntryView): string {
  return `${formatSize(entry.sizeBytes).padStart(9)}  ${visible(entry.digest).padEnd(28)}  ${visible(entry.path)}`
}
