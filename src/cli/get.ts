import { resolve } from 'node:path'
import { isFailure, VarveError } from '../model/errors.ts'
import { get as restore } from '../restore/restore.ts'
import type { GetWish, Report, Step, Way, Wish } from '../restore/restore.ts'
import { waitFor } from './apart.ts'
import type { Context, Options } from './context.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { accessTo } from './reach.ts'
import { formatCount, formatSize, plural, visible } from './words.ts'

const DESTINATIONS = 'artifacts'
const WAYS: readonly Way[] = ['copy', 'reflink', 'hardlink', 'symlink']

/** What narrows a restore or a check down. */
export interface WishOptions extends Options {
  readonly path?: string
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
  readonly deep?: boolean
}

export interface GetOptions extends WishOptions {
  readonly as?: string
  readonly dryRun?: boolean
  readonly force?: boolean
  readonly delete?: boolean
  readonly partial?: boolean
}

/** Makes a folder hold a version, exactly, and prints what was done. Answers the exit code. */
export async function get(context: Context, name: string, destination: string | undefined, options: GetOptions): Promise<number> {
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  const way = WAYS.find((one) => one === (options.as ?? 'copy'))
  if (way === undefined) throw new VarveError('USAGE', `--as ${options.as} is not known`, { hint: `write one of ${WAYS.join(', ')}` })
  const narrowed = options.path !== undefined || options.include !== undefined || options.exclude !== undefined
  if (options.delete === true && narrowed)
    throw new VarveError('USAGE', '--delete makes the destination exactly the version, and --path, --include and --exclude take a part of it', { hint: 'leave out one or the other' })
  if (destination === '') throw new VarveError('USAGE', 'the destination is empty', { hint: 'name a folder, or leave it out' })
  const shore = context.apart === undefined ? undefined : await context.opener.shore(resolve(destination ?? DESTINATIONS))
  if (context.apart !== undefined && shore !== undefined) return waitFor(context.apart(), resolve(destination ?? DESTINATIONS), shore, context)
  return reading(context, place, async (registry) => {
    const view = await registry.version(collection, version)
    const wish: GetWish = {
      ...(await wishOf(context, { collection, version: view.version }, options)),
      destination: resolve(destination ?? `${DESTINATIONS}/${collection.collection}:${view.version}`), as: way,
      force: options.force === true, delete: options.delete === true, partial: options.partial === true, dryRun: options.dryRun === true,
    }
    const parts = context.opener.restoreParts(registry, place.dataFolder, (location) => accessTo(place.config, location), ({ entries, bytes, of }) =>
      of === undefined ? context.screen.progress(name, entries, bytes) : context.screen.advance(name, { objects: entries, bytes }, { objects: of.entries, bytes: of.bytes }))
    try {
      // Without `--json` and `--dry-run` only what is lost is told by name: so what is whole need not be listed.
      const tell = options.json === true ? context.screen.json : wish.dryRun ? (steps: readonly Step[]) => context.screen.print(...steps.map(line)) : undefined
      const report = await restore(parts, wish, tell, context.signal)
      if (options.json !== true) await context.screen.print(summary(report, wish))
      return 0
    } catch (error) {
      if (options.json !== true && !wish.dryRun && isFailure(error, 'LOST')) await context.screen.print(...error.losses.map((loss) => line({ ...loss, action: 'lost' })))
      throw error
    } finally {
      context.screen.settle()
    }
  })
}

export async function wishOf(context: Context, of: Pick<Wish, 'collection' | 'version'>, { path, include = [], exclude = [], deep }: WishOptions): Promise<Wish> {
  if ([...include, ...exclude].includes('')) throw new VarveError('USAGE', 'a pattern of --include or --exclude is empty', { hint: 'leave it out, or name what it takes' })
  const filtered = include.length > 0 || exclude.length > 0
  const stripped = path === undefined ? undefined : entryPath(path)
  return {
    ...of, deep: deep === true, ...(stripped !== undefined && { path: stripped }),
    ...(filtered && { takes: await context.opener.filter(include, exclude), filters: JSON.stringify([include, exclude]) }),
  }
}

/** `./d/` is `d`: as shells complete it. */
function entryPath(path: string): string {
  if (path.startsWith('/')) throw new VarveError('USAGE', `--path ${path} is absolute, and paths of entries are relative`, { hint: 'varve files lists them' })
  const plain = path.replace(/^(\.\/+)+/, '').replace(/\/+(\.?\/+)*\.?$/, '')
  if (plain === '' || plain === '.') throw new VarveError('USAGE', '--path names no entry', { hint: 'leave it out for the whole version' })
  return plain
}

/** `fetched  s3://b/a  ->  a`: one line of a dry run, or of what is lost. */
export function line({ path, action, from, pin, reason, words }: Step): string {
  if (action === 'lost') return `lost      ${visible(path)}  (${reason}) ${visible(words ?? '')}`
  if (action === 'conflict') return `conflict  ${visible(path)}  ${visible(words ?? '')}`
  const whence = from === undefined ? '' : `  from ${visible(from)}${pin === undefined ? '' : ` ${visible(pin)}`}`
  return `${action.padEnd(8)}  ${visible(path)}${whence}${words === undefined ? '' : `  (${visible(words)})`}`
}

function summary({ name, entries, fetched, fetchedBytes, linked, linkedBytes, byWord, kept, deleted }: Report, { destination, dryRun }: GetWish): string {
  const would = dryRun ? 'would be ' : ''
  const facts = [
    ...(fetched > 0 || linked === 0 ? [`${plural(fetched, 'entry', 'entries')} ${would}fetched (${formatSize(fetchedBytes)})`] : []), ...(linked > 0 ? [`${plural(linked, 'entry', 'entries')} ${would}linked (${formatSize(linkedBytes)})`] : []),
    ...(byWord > 0 ? [`${formatCount(byWord)} of them by the store's word alone`] : []), ...(kept > 0 ? [`${formatCount(kept)} in place`] : []), ...(deleted > 0 ? [`${formatCount(deleted)} ${dryRun ? 'would go' : 'deleted'}`] : []),
  ]
  return `${visible(name)} ${dryRun ? 'to' : 'is in'} ${visible(destination)}: ${plural(entries, 'entry', 'entries')}; ${facts.join(', ')}`
}
