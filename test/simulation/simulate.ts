import { all, MNIST } from '../suite/registry-world.ts'
import type { Defect } from './defects.ts'
import { World } from './world.ts'
import type { Moment } from './world.ts'

const ACTS = 40
const TURNS_MOST = 6_000

/**
 * One schedule: a nemesis writes, tells of it late, twice and out of order, breaks listings, crashes and freezes; then all comes to rest, and the laws must hold.
 * Throws what is broken. The same seed is the same schedule.
 */
export async function simulate(seed: number, defect: Defect): Promise<World> {
  const world = new World(seed, defect)
  try {
    await world.start()
    for (let act = 0; act < ACTS; act++) {
      nemesis(world)
      for (let turns = world.scheduler.below(14); turns > 0; turns--) await world.scheduler.turn()
    }
    await rest(world)
    await judge(world)
    return world
  } finally {
    world.end()
  }
}

function nemesis(world: World): void {
  const { scheduler } = world
  const dice = scheduler.random()
  if (dice < 0.4) world.write()
  else if (dice < 0.75) world.deliver(false)
  else if (dice < 0.8) world.put()
  else if (dice < 0.84) world.crash()
  else if (dice < 0.88) world.freeze()
  else if (dice < 0.92) world.thaw()
  // Slow: leases run out, settling ends.
  else if (dice < 0.96) scheduler.nowMs += scheduler.below(90_000)
  else scheduler.nowMs += scheduler.below(600)
}

/** No more faults: what was frozen goes on, each hint is told until it is taken, and all ends. */
async function rest(world: World): Promise<void> {
  world.faulty = false
  world.thaw()
  let calm = 0
  for (let turns = 0; turns < TURNS_MOST; turns++) {
    if (world.undelivered.size > 0 && world.delivering.size === 0) world.deliver(true)
    const [row] = await world.registry.watchRows()
    const still = world.undelivered.size === 0 && world.putting === 0 && row !== undefined && row.generation === row.committedGeneration && (row.leaseUntil ?? 0) <= world.scheduler.nowMs
    calm = still ? calm + 1 : 0
    if (calm > 60) return
    if (!(await world.scheduler.turn())) break
  }
  throw new Error(`law 1: it never comes to rest: ${JSON.stringify((await world.registry.watchRows())[0])}`)
}

async function judge(world: World): Promise<void> {
  if (world.failures.length > 0) throw new Error(String(world.failures[0]))
  const versions = (await all(world.registry.versions(MNIST))).reverse()
  const truth = [...(world.moments.at(-1) as Moment).lying].map(([path, digest]) => `${path} ${digest}`).sort()
  let before: readonly string[] = []
  for (const [index, version] of versions.entries()) {
    if (version.index !== index) throw new Error(`${version.version} stands where v${index} should`)
    const lines = await linesOf(world, version.version)
    if (lines.join() === before.join()) throw new Error(`law 4: ${version.version} equals the version before it`)
    const during = momentsIn(world.moments, Date.parse(version.certificate.startedAt), Date.parse(version.createdAt))
    for (const line of lines) if (!before.includes(line) && !during.some(({ lying }) => has(lying, line))) throw new Error(`law 7: ${version.version} holds ${line}, which was not there during its look`)
    const paths = new Set(lines.map(pathOf))
    for (const path of before.map(pathOf)) if (!paths.has(path) && !during.some(({ lying }) => !lying.has(path))) throw new Error(`law 5: ${version.version} lacks ${path}, which was there all the time`)
    if (version.certificate.consistent && !during.some(({ lying }) => lying.size === lines.length && lines.every((line) => has(lying, line)))) throw new Error(`law 7: ${version.version} says consistent, but never was`)
    before = lines
  }
  if (before.join() !== truth.join()) throw new Error(`law 1: at rest the head is ${before.join()}, there lies ${truth.join()}`)
}

async function linesOf(world: World, version: string): Promise<string[]> {
  return (await all(world.registry.entries(MNIST, version))).map(({ path, digest }) => `${path} ${digest}`).sort()
}

/** What lay there at some time from `from` to `until`. */
function momentsIn(moments: readonly Moment[], from: number, until: number): readonly Moment[] {
  return moments.filter(({ at }, index) => at <= until && (moments[index + 1]?.at ?? Infinity) >= from)
}

function pathOf(line: string): string {
  return line.slice(0, line.lastIndexOf(' '))
}

function has(lying: ReadonlyMap<string, string>, line: string): boolean {
  return lying.get(pathOf(line)) === line.slice(line.lastIndexOf(' ') + 1)
}
