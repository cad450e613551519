import { askAnew } from '../daemon/daemon.ts'
import { describe, isFailure } from '../model/errors.ts'
import type { LossReason } from '../model/errors.ts'
import type { AuditRow, Fate, Question } from '../model/fate.ts'
import type { Registry } from '../registry/registry.ts'
import { verify as check } from '../restore/restore.ts'
import type { Step, Verified, Wish } from '../restore/restore.ts'
import type { Context } from './context.ts'
import { line, wishOf } from './get.ts'
import type { WishOptions } from './get.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import type { Place } from './place.ts'
import { accessTo } from './reach.ts'
import { tellOn } from './tell.ts'
import { formatCount, plural, visible } from './words.ts'

/** Tells whether a version can still be restored: 0 when all of it can, 1 when something is lost, each by path and reason, 3 when nothing is known to be but a store could not be asked. */
export async function verify(context: Context, name: string, options: WishOptions): Promise<number> {
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const parts = context.opener.restoreParts(registry, place.dataFolder, (location) => accessTo(place.config, location), ({ entries, bytes }) => context.screen.progress(name, entries, bytes))
    const lines = (steps: readonly Step[]): readonly string[] => steps.filter(({ action }) => action === 'lost').map(line)
    const tell = (steps: readonly Step[]): Promise<void> => (options.json === true ? context.screen.json(steps) : context.screen.print(...lines(steps)))
    const wish = await wishOf(context, { collection, version }, options)
    const verified = await check(parts, wish, tell, context.signal)
    const { name: whole, entries, elsewhere, byWord, losses } = verified
    context.screen.settle()
    const unasked = losses.filter(({ reason }) => UNASKED.includes(reason)).length
    const unnameable = losses.filter(({ reason }) => reason === 'name').length
    const lost = losses.length - unasked - unnameable
    const lacking = [...(lost > 0 ? [`${ofAll(lost, entries)} cannot be restored`] : []), ...(unnameable > 0 ? [`${ofAll(unnameable, entries)} cannot be restored to any folder by ${unnameable === 1 ? 'its name' : 'their names'}`] : []), ...(unasked > 0 ? [`${ofAll(unasked, entries)} could not be asked for`] : [])]
    const found = lacking.length === 0 ? `${plural(entries, 'entry', 'entries')} can be restored` : lacking.join(', ')
    if (options.json !== true) await context.screen.print(`${visible(whole)}: ${found}${elsewhere.length === 0 ? '' : `, ${formatCount(elsewhere.length)} from another place than was recorded`}${options.deep === true ? ` (every byte${unasked === 0 ? '' : ' of the others'} was read${byWord === 0 ? '' : `; ${plural(byWord, 'entry stands', 'entries stand')} by the store's word alone`})` : ''}`)
    await writeDown(context, place, registry, { wish: { ...wish, version: whole.slice(whole.lastIndexOf(':') + 1) }, verified })
    return losses.length === 0 ? 0 : losses.length > unasked ? 1 : 3
  })
}

function ofAll(some: number, all: number): string {
  return `${plural(some, 'entry', 'entries')} of ${formatCount(all)}`
}

// What says nothing of the bytes.
const UNASKED: readonly LossReason[] = ['unreachable', 'denied']
// What says that the bytes are gone, and not only that they cannot be had now.
const GONE: readonly LossReason[] = ['removed', 'overwritten', 'expired']

// What says that something else holds them.
const ELSEWHERE: readonly Fate['fate'][] = ['elsewhere', 'fading', 'mutable']

/** Where what was found is not what the registry says, the audit asks about it now: so the state follows, by the audit's own rules. Who may not write still learns what was found. */
async function writeDown(context: Context, place: Place, registry: Registry, { wish, verified }: { readonly wish: Wish; readonly verified: Verified }): Promise<void> {
  const { collection, version, path: within, takes } = wish
  const elsewhere = new Set(verified.elsewhere)
  const { toldByBytes } = verified
  // What no folder can hold is there all the same.
  const reasons = new Map(verified.losses.flatMap(({ path, reason }) => (reason === 'name' ? [] : [[path, reason]])))
  const wasAsked = (path: string): boolean => (within === undefined || path === within || path.startsWith(`${within}/`)) && (takes === undefined || takes(path))
  const isOtherwise = ({ holding: { path, content, latestPin }, fate }: AuditRow): boolean => {
    const reason = reasons.get(path)
    // What nothing pins the audit could not find again.
    if (toldByBytes.has(path)) return wasAsked(path) && toldByBytes.get(path) !== undefined && toldByBytes.get(path) !== fate?.proof
    if (!wasAsked(path) || (reason !== undefined && !GONE.includes(reason))) return false
    const isPinned = (content.pin ?? latestPin) !== undefined
    const isLost = fate?.fate === 'lost' || (fate === undefined && !isPinned)
    return isLost !== (reason !== undefined) || (isPinned && elsewhere.has(path) !== (fate !== undefined && ELSEWHERE.includes(fate.fate)))
  }
  const all: ReadonlySet<string> = new Set(verified.losses.filter(({ reason }) => GONE.includes(reason)).map(({ path }) => path))
  const gone = new Set(all)
  const questions = async function* (): AsyncGenerator<Question> {
    for await (const { rows, ...question } of registry.rowsToAsk(collection, version, [...elsewhere, ...reasons.keys()])) {
      for (const { holding } of rows) gone.delete(holding.path)
      const otherwise = rows.filter(isOtherwise)
      if (otherwise.length > 0) yield { ...question, lost: all, rows: otherwise.map((row) => withProof(row, toldByBytes.get(row.holding.path))) }
    }
  }
  const parts = { ...context.opener.lookParts(registry, tellOn(context.screen, place.defaultEntity), false), watches: place.config?.watches ?? [] }
  try {
    const stayed = await askAnew(parts, context.opener.openInventory, questions(), context.signal)
    if (stayed.length > 0) context.screen.note(visible(`the state in the registry stays as it was where this is so: ${stayed.join('; ')}`))
    // Of these the registry says what the last look saw: only the next may say otherwise.
    if (gone.size > 0) context.screen.note(`${plural(gone.size, 'lost entry is', 'lost entries are')} in the newest version, too, whose state is that of its last look: varve scan or varve put records what is there now`)
  } catch (error) {
    if (!isFailure(error)) throw error
    context.screen.note(visible(`the state in the registry stays as it was: ${describe(error)}`))
  }
}

function withProof(row: AuditRow, proof: string | undefined): AuditRow {
  return proof === undefined ? row : { ...row, proof }
}
