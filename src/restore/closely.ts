// What lies at a destination, told by its bytes where only its store knows what these must come to.
import type { Holding } from '../model/entry.ts'
import { farAmong } from './far.ts'
import type { Answer, LookTask } from './local.ts'
import { inParallel } from './plan.ts'
import type { Parts } from './terms.ts'
import type { Threads } from './threads.ts'
import { etagOf, sealOf } from './verify.ts'
import type { Seal } from './verify.ts'

/** Asks the store what the bytes of an entry must come to; undefined where it does not tell. */
export type Told = (holding: Holding) => Promise<Seal | undefined>

/** Where is looked, and by whom. */
export interface Destination {
  /** Ends in `/`. */
  readonly root: string
  readonly threads: Threads
  readonly farOf: Parts['farOf']
  readonly told: Told
}

const ASKED_AT_ONCE = 16

/** Looks at the places of `holdings` as `way` says, and once more at those that no guess of the sizes of their parts fits: a restore may have brought them that was cut off before it could write them down. */
export async function lookClosely(
  { root, threads, farOf, told }: Destination, holdings: readonly Holding[], way: Pick<LookTask, 'digest' | 'fingerprints' | 'way' | 'hard' | 'copies'>,
): Promise<Answer> {
  const sources = holdings.map(({ location, key }) => (location.scheme === 'file' ? key : ''))
  const far = await farAmong(holdings, root, farOf)
  const task: LookTask = {
    kind: 'look', base: root, follow: false, paths: holdings.map(({ path }) => path), sizes: holdings.map(({ sizeBytes }) => sizeBytes), seals: holdings.map((holding) => sealOf(holding)),
    sources, far, ...way,
  }
  const { outcomes, fingerprints } = await threads.run(task)
  const seals = new Map<number, Seal>()
  const open = [...holdings.entries()].filter(([at, { content }]) => outcomes[at] === 'unknown' && /-\d+$/.test(etagOf(content)))
  await inParallel(open, ASKED_AT_ONCE, async ([at, holding]) => {
    const seal = await told(holding)
    if (seal !== undefined && seal.guessed !== true) seals.set(at, seal)
  })
  if (seals.size === 0) return { outcomes, fingerprints }
  const again = [...seals.keys()]
  const of = <T>(all: readonly T[]): T[] => (all.length === 0 ? [] : again.map((at) => all[at] as T))
  const { paths, sizes, hard = [], copies = [] } = task
  const closer = await threads.run({
    ...task, paths: of(paths), sizes: of(sizes), seals: [...seals.values()], fingerprints: of(task.fingerprints), sources: of(sources), far: of(far), hard: of(hard), copies: of(copies),
  })
  const place = new Map(again.map((at, i) => [at, i]))
  const merge = <T>(before: readonly T[], after: readonly T[]): T[] => before.map((one, at) => (place.has(at) ? (after[place.get(at) as number] as T) : one))
  return { outcomes: merge(outcomes, closer.outcomes), fingerprints: merge(fingerprints, closer.fingerprints) }
}
