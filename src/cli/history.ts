import type { ChangeView } from '../model/version.ts'
import { changeLine } from './change.ts'
import type { Context, Options } from './context.ts'
import { parseArtifact } from './names.ts'
import { placeOf, reading } from './place.ts'

/** Prints when a path changed, oldest first. Throws NOT_FOUND when no version ever had it. */
export async function history(context: Context, artifact: string, path: string, options: Options): Promise<void> {
  const place = await placeOf(context, options)
  const collection = parseArtifact(artifact, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const changes = await registry.history(collection, path)
    if (options.json === true) return context.screen.json(changes)
    const width = Math.max(...changes.map((change) => versionOf(change).length))
    return context.screen.print(...changes.map((change) => `${versionOf(change).padEnd(width)}  ${changeLine(change, context.screen)}`))
  })
}

function versionOf(change: ChangeView): string {
  return change.version ?? '-'
}
