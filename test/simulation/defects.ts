// Each rule of the protocol's core, broken in one place: what the simulation must find.
import type { DatabaseSync } from 'node:sqlite'
import type { Looking, Registry } from '../../src/registry/registry.ts'
import type { Queue } from '../../src/queue/queue.ts'

/** What a planted registry may use. */
export interface Site {
  readonly registry: Registry
  readonly database: DatabaseSync
  /** A point where others may come between. */
  pause(): Promise<void>
}

export interface Defect {
  readonly name: string
  /** Pieces of SQL that are exchanged; each must be there. */
  readonly sql?: readonly (readonly [from: string, to: string])[]
  readonly registry?: (site: Site) => Partial<Registry>
  readonly queue?: (queue: Queue) => Queue
  readonly acknowledgesFirst?: boolean
  readonly takesCutForWhole?: boolean
  readonly sweepMs?: number
  readonly daemons?: number
}

const WATCH = '(SELECT id FROM watch LIMIT 1)'

async function generationNow({ registry }: Site, looking: Looking): Promise<number> {
  return (await registry.watchRow(looking.watch ?? ''))?.generation ?? looking.generation
}

/** Generation in one transaction, the path in another: anything may come between. */
function tornMark(site: Site): Partial<Registry> {
  return {
    async request(requests) {
      for (const { path } of requests) {
        const { generation } = site.database.prepare(`UPDATE watch SET generation = generation + 1 WHERE id = ${WATCH} RETURNING generation`).get() as { generation: number }
        await site.pause()
        site.database.prepare(`INSERT INTO request VALUES (${WATCH}, ?, ?, 0, 0) ON CONFLICT DO UPDATE SET generation = excluded.generation`).run(path, generation)
      }
    },
  }
}

// A look that another overtook keeps its scratch, so that only the fence itself can stop it.
const SCRATCH_STAYS = [['watch = :id AND id NOT IN', '0 * :id AND id NOT IN'], ['id = :id OR watch = :watch', 'id = :id OR 0 * :watch']] as const
const FENCE = ' AND (l.watch IS NULL OR (w.enrolled AND w.epoch = l.epoch AND w.owner IS l.owner))'

export const DEFECTS: readonly Defect[] = [
  {
    name: 'the generation is read after the listing',
    registry: (site) => ({ record: async (looking, outcome, nowMs) => site.registry.record({ ...looking, generation: await generationNow(site, looking) }, outcome, nowMs) }),
  },
  {
    name: 'requests are read before the generation',
    registry: (site) => ({
      async begin(...args) {
        const paths = (site.database.prepare('SELECT path FROM request').all() as { path: string }[]).map(({ path }) => path)
        await site.pause()
        const looking = await site.registry.begin(...args)
        if (looking === undefined || paths.length === 0) return looking
        return { ...looking, whole: paths.includes('*'), paths: paths.filter((path) => path !== '*') }
      },
    }),
  },
  { name: 'the mark is made in two transactions', registry: tornMark },
  { name: "a second hint keeps the first's generation", sql: [['DO UPDATE SET generation = excluded.generation, strength', 'DO UPDATE SET generation = generation, strength']] },
  {
    name: "requests are deleted at the look's start",
    registry: (site) => ({
      async begin(...args) {
        const looking = await site.registry.begin(...args)
        // They are gone, and the look that had them may crash: dirty without a row is then the whole, so a later hint must stand beside it.
        if (looking !== undefined) site.database.exec('DELETE FROM request')
        return looking
      },
    }),
  },
  { name: 'all requests are deleted at the commit', sql: [['AND generation <= :generation', 'AND :generation IS NOT NULL']] },
  {
    name: 'requests are deleted by path',
    registry: (site) => ({
      async record(looking, outcome, nowMs) {
        const recorded = await site.registry.record(looking, outcome, nowMs)
        if (recorded.kind !== 'overtaken') for (const path of [...looking.paths, ...(looking.whole ? ['*'] : [])]) site.database.prepare('DELETE FROM request WHERE path = ?').run(path)
        return recorded
      },
    }),
  },
  {
    name: 'a request of the whole stores no row',
    registry: (site) => ({
      async request(requests, nowMs) {
        await site.registry.request(requests, nowMs)
        if (requests.some(({ path }) => path === '*')) site.database.exec(`DELETE FROM request WHERE path = '*'`)
      },
    }),
  },
  {
    name: 'dirty without rows is taken for nothing to do (behind marks that a crash tears)',
    registry: (site) => ({
      ...tornMark(site),
      async begin(...args) {
        const none = site.database.prepare('SELECT 1 FROM request').get() === undefined
        const looking = await site.registry.begin(...args)
        return looking !== undefined && none ? { ...looking, whole: false } : looking
      },
    }),
  },
  { name: 'acknowledged before the mark', acknowledgesFirst: true },
  { name: 'no fence', sql: [[FENCE, ''], ...SCRATCH_STAYS] },
  {
    name: 'the epoch is taken after the listing',
    sql: SCRATCH_STAYS,
    registry: (site) => ({
      async record(looking, outcome, nowMs) {
        const { epoch } = (await site.registry.watchRow(looking.watch ?? '')) ?? looking
        if (looking.watch === undefined) return site.registry.record(looking, outcome, nowMs)
        site.database.prepare(`UPDATE look SET epoch = ?, owner = (SELECT owner FROM watch LIMIT 1), base = (SELECT head FROM collection LIMIT 1) WHERE id = ?`).run(epoch, looking.id)
        return site.registry.record({ ...looking, epoch }, outcome, nowMs)
      },
    }),
  },
  { name: 'no base check', sql: [['AND c.head IS l.base ', '']] },
  {
    name: 'a look that was refused still writes the committed generation',
    registry: (site) => ({
      async release(looking, verdict, nowMs) {
        await site.registry.release(looking, verdict, nowMs)
        site.database.prepare('UPDATE watch SET committed = max(committed, ?)').run(looking.generation)
        site.database.prepare('DELETE FROM request WHERE generation <= ?').run(looking.generation)
      },
    }),
  },
  {
    name: 'plain deduplication, with the sweep off',
    sweepMs: 1e12,
    daemons: 1,
    queue(queue) {
      const active = new Set<string>()
      return {
        ...queue,
        wake: async (watch, delayMs) => (active.has(watch) ? undefined : queue.wake(watch, delayMs)),
        work: (look, concurrency, signal) =>
          queue.work(async (watch, stop) => {
            active.add(watch)
            try {
              return await look(watch, stop)
            } finally {
              active.delete(watch)
            }
          }, concurrency, signal),
      }
    },
  },
  { name: 'a truncated listing is taken for whole', takesCutForWhole: true },
]
