import { durationMs } from '../config.ts'
import { VarveError } from '../model/errors.ts'
import type { RemovalView } from '../model/version.ts'
import type { Registry } from '../registry/registry.ts'
import type { Context, Options } from './context.ts'
import { parseArtifact, parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import type { Place } from './place.ts'
import { formatArtifact, formatSize, formatWhen, plural, visible } from './words.ts'

export interface RmOptions extends Options {
  readonly force?: boolean
}

export interface PruneOptions extends RmOptions {
  readonly keepLast?: number
  readonly keepAliased?: boolean
  readonly keepUsed?: boolean
  readonly olderThan?: string
  readonly dryRun?: boolean
}

/** Removes one version, and prints it. Throws CONFLICT for one with aliases or users, unless forced. */
export async function rm(context: Context, name: string, options: RmOptions): Promise<void> {
  const place = await placeOf(context, options)
  if (!name.includes(':'))
    throw new VarveError('USAGE', `${name} names no version, and an artifact is not removed as a whole`, { hint: `say which: ${name}:v3, or remove many with varve prune` })
  const { collection, version } = parseVersion(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const spares = options.force !== true
    const removed = await registry.removeVersion(collection, version, { spared: { aliased: spares, used: spares }, head: true }, context.clock.now())
    await tell(context, place, options, removed, 'removed')
    await giveBack(context, place, registry)
  })
}

/** Removes the versions of an artifact that no rule keeps, oldest first, and prints each; with `dryRun` only prints them. The newest is always kept. Throws USAGE without a rule. */
export async function prune(context: Context, artifact: string, options: PruneOptions): Promise<void> {
  const place = await placeOf(context, options)
  const { keepLast, keepAliased, keepUsed, force, dryRun } = options
  const olderThan = options.olderThan === undefined ? undefined : durationMs(options.olderThan)
  if (Number.isNaN(olderThan)) throw new VarveError('USAGE', `${JSON.stringify(options.olderThan)} is not a duration with its unit`, { hint: 'write 90d, 12h or 30m' })
  // Older than no time at all is each of them.
  if (keepLast === undefined && (olderThan ?? 0) === 0 && keepAliased !== true && keepUsed !== true)
    throw new VarveError('USAGE', olderThan === undefined ? 'nothing says what to keep' : `--older-than ${options.olderThan} keeps nothing`, { hint: 'give --keep-last N, --older-than 90d, --keep-aliased or --keep-used; the newest version is always kept' })
  if (!artifact.includes('/')) throw new VarveError('USAGE', `${artifact} is not an artifact`, { hint: 'write project/name: one artifact is pruned at a time' })
  const collection = parseArtifact(artifact, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const spared = { aliased: keepAliased === true || force !== true, used: keepUsed === true || force !== true }
    const goes = ({ aliases, users, createdAt }: RemovalView, rank: number): boolean =>
      rank >= Math.max(1, keepLast ?? 1) && !(spared.aliased && aliases.length > 0) && !(spared.used && users.length > 0) &&
      (olderThan === undefined || context.clock.now() - Date.parse(createdAt) >= olderThan)
    const going: RemovalView[] = []
    let rank = 0
    for await (const page of registry.removable(collection)) for (const view of page) if (goes(view, rank++)) going.push(view)
    let removed = 0
    for (const view of going.reverse()) {
      context.signal.throwIfAborted()
      if (dryRun !== true) {
        // One transaction for each: whoever waits to write comes between, and one that got an alias or a user meanwhile stays.
        const gone = await registry.removeVersion(collection, view.version, { spared, head: false }, context.clock.now()).then(() => true, (error: unknown) => leftBy(context, error))
        if (!gone) continue
      }
      removed++
      await tell(context, place, options, view, dryRun === true ? 'would be removed' : 'removed')
    }
    if (dryRun !== true && removed > 0) await giveBack(context, place, registry)
    if (options.json !== true) context.screen.note(`${plural(removed, 'version', 'versions')} ${dryRun === true ? 'would go' : 'went'}, ${plural(rank - removed, 'stays', 'stay')}`)
  })
}

/** Answers false for what somebody else decided meanwhile. */
function leftBy(context: Context, error: unknown): false {
  const { code, message } = error as Partial<VarveError>
  if (code !== 'CONFLICT' && code !== 'NOT_FOUND') throw error
  context.screen.note(visible(`left: ${message ?? ''}`))
  return false
}

async function tell(context: Context, place: Place, options: Options, view: RemovalView, what: string): Promise<void> {
  if (options.json === true) return context.screen.json([view])
  const { entries, sizeBytes, createdAt, aliases, users } = view
  const facts = [plural(entries, 'entry', 'entries'), formatSize(sizeBytes), `made ${formatWhen(createdAt, context.clock.now())}`,
    ...(aliases.length > 0 ? [`was ${aliases.map(visible).join(', ')}`] : []), ...(users.length > 0 ? [`used by ${users.map(visible).join(', ')}`] : [])]
  return context.screen.print(`${what}: ${formatArtifact(view, place.defaultEntity)}:${view.version}  (${facts.join(', ')})`)
}

/** A database that must be rewritten for it is left to a time when no daemon waits. */
async function giveBack(context: Context, place: Place, registry: Registry): Promise<void> {
  const bytes = await registry.giveBack(!(await context.opener.daemonRuns(place.dataFolder)))
  if (bytes === undefined) context.screen.note('its space is used again, and given back to the disk by a later rm or prune: others are writing')
  else if (bytes > 0) context.screen.note(`${formatSize(bytes)} given back to the disk`)
}
