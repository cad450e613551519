// Law 7. Each entry that a look read was there during it, or is named in the certificate; what changed while it was being looked at is looked at again. Only a
// version whose certificate says `consistent` is a state that existed as a whole.
import { expect, test } from '@jest/globals'
import { parseLocation } from '../../src/model/location.ts'
import type { Certificate, VersionView } from '../../src/model/version.ts'
import type { Found, Span } from '../../src/storage/storage.ts'
import { all, MNIST } from './world.ts'
import { registryWith, storesWith, unfitted, World } from './world.ts'
import type { Refit } from './world.ts'
import { law } from './law.ts'

type State = Readonly<Record<string, string>>

/** How a place shows itself, and is watched. */
const KINDS = {
  files: { watch: { locations: [parseLocation('file:///p/', '/')], pollMs: 86_400_000 }, memory: { contentListed: false, versioned: false } },
  'S3 with versions': { watch: {}, memory: { contentListed: true, versioned: true } },
  'S3 with versions, confirmed': { watch: { confirm: true }, memory: { contentListed: true, versioned: true } },
  'S3 without versions, confirmed': { watch: { confirm: true }, memory: { contentListed: true, versioned: false } },
} as const

const PATHS = ['a', 'b', 'c', 'd/e', 'd/f', 'g'] as const

/** A number below `bound`, from a seed that it moves on. */
function dice(seed: number): (bound: number) => number {
  let state = seed * 2_654_435_761 + 1
  return (bound) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) % bound
  }
}

interface Scene {
  readonly world: World
  /** What lay there after each act. */
  readonly history: readonly State[]
  /** The versions, each with the stretch of history that its look saw. */
  readonly looks: readonly { readonly version: VersionView; readonly from: number; readonly to: number }[]
}

/** A place in which objects are written, removed and hinted at any moment of the looks at it. Afterwards it is at rest. */
async function play(kind: keyof typeof KINDS, seed: number, refit: Refit): Promise<Scene> {
  const roll = dice(seed)
  const { watch, memory } = KINDS[kind]
  const world = new World({ ...watch, settleMs: 1_000, maxWaitMs: 1_000 + roll(20) * 1_000, guard: { removedShareMax: 1 } }, { ...memory, pageSize: 1 + roll(3) })
  const history: State[] = []
  const looks: { version: VersionView; from: number; to: number }[] = []
  const { scheme, prefix, bucket } = world.watch.locations[0]
  const note = (): void => void history.push(Object.fromEntries(world.lying().map((line) => line.split(' ') as [string, string])))
  let calm = false
  let begun = 0
  const act = async (): Promise<void> => {
    if (calm || roll(3) > 0) return
    const path = PATHS[roll(PATHS.length)] as string
    // Few different contents, so that some come back.
    if (roll(4) === 0) world.memory.remove(path)
    else world.memory.put(path, `content ${roll(4)}`)
    note()
    if (roll(4) > 0) await world.source.deliver([{ scheme, bucket, key: prefix + path, whole: false }])
  }
  for (const path of PATHS) world.memory.put(path, 'first')
  note()
  world.memory.beforePage = async () => void (await act())
  world.memory.whileRead = act
  await world.start((parts) => refit({
    ...parts,
    openStore: async (...args) => {
      begun = history.length - 1
      return parts.openStore(...args)
    },
    tell: { ...parts.tell, recorded: (_, version) => void looks.push({ version, from: begun, to: history.length - 1 }) },
  }))
  for (let step = 0; step < 12; step++) {
    await act()
    if (roll(3) === 0) await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
    await world.clock.pass(roll(10_000))
  }
  calm = true
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
  await world.clock.pass(120_000)
  await world.stop()
  return { world, history, looks }
}

interface Lie {
  readonly what: string
  readonly version: string
  readonly path?: string
}

async function liesOf({ world, history, looks }: Scene): Promise<{ lies: Lie[]; consistent: number; named: number }> {
  const lies: Lie[] = []
  let consistent = 0
  let named = 0
  let before: State = {}
  for (const { version: { version, certificate }, from, to } of looks) {
    const seen = history.slice(from, to + 1)
    const state: Record<string, string> = Object.fromEntries((await all(world.registry.entries(MNIST, version))).map(({ path, digest }) => [path, digest]))
    // A touch-up vouches only for what it changed.
    const vouched = certificate.kind === 'scan' ? PATHS : PATHS.filter((path) => before[path] !== state[path])
    for (const path of vouched)
      if (!certificate.changedUnderLook.includes(path) && !seen.some((then) => then[path] === state[path])) lies.push({ what: 'was not so at any moment of the look', version, path })
    if (certificate.consistent && !seen.some((then) => same(then, state))) lies.push({ what: 'never existed as a whole', version })
    if (certificate.consistent && certificate.kind !== 'scan') lies.push({ what: 'a touch-up knows nothing of the whole', version })
    consistent += certificate.consistent ? 1 : 0
    named += certificate.changedUnderLook.length
    before = state
  }
  if (!same(before, history.at(-1) as State)) lies.push({ what: 'is not what lies there at rest', version: 'latest' })
  return { lies, consistent, named }
}

function same(one: State, other: State): boolean {
  return Object.keys(one).length === Object.keys(other).length && Object.entries(one).every(([path, digest]) => other[path] === digest)
}

const SEEDS = 25

for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
  const plants: Record<string, Refit> = {
    'a certificate that always says consistent': (parts) => ({
      ...parts,
      registry: registryWith(parts.registry, {
        record: (looking, outcome, nowMs) => parts.registry.record(looking, { ...outcome, certificate: { ...outcome.certificate, consistent: true } }, nowMs),
      }),
    }),
  }
  if (kind === 'files') plants['half of one content and half of another'] = tearing()
  if (kind !== 'S3 with versions' && kind !== 'S3 without versions, confirmed') plants['a second listing that only repeats the first'] = repeating()
  law<Refit>(`${kind}: no version lies about time, whatever happens during the looks`, async (plant) => {
    let [consistent, named] = [0, 0]
    for (let seed = 1; seed <= SEEDS; seed++) {
      const told = await liesOf(await play(kind, seed, plant ?? unfitted))
      expect({ kind, seed, lies: told.lies }).toEqual({ kind, seed, lies: [] })
      consistent += told.consistent
      named += told.named
    }
    // It says so where it looks twice, and never where stamps may repeat.
    const says = kind === 'files' || kind === 'S3 with versions, confirmed' || (kind === 'S3 with versions' && consistent > 0)
    expect({ consistent: consistent > 0, named: kind !== 'files' || named > 0 }).toEqual({ consistent: says, named: true })
  }, plants)
}

/** As who stats only after reading: the stamp is that of the new content. */
function tearing(): Refit {
  return storesWith((store) => {
    const whole = async function* (found: AsyncIterable<Found>, startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
      for await (const one of found) {
        if (one.kind !== 'torn') yield one
        else for await (const after of store.find([one.path], startMs, signal)) yield after.kind === 'entry' ? { kind: 'entry', listed: { ...after.listed, content: { digest: 'md5:half' } } } : after
      }
    }
    return {
      find: (paths, startMs, signal) => whole(store.find(paths, startMs, signal), startMs, signal),
      inspect: (listed, startMs, signal) => whole(store.inspect(listed, startMs, signal), startMs, signal),
    }
  })
}

/** As a cache before the store would do. */
function repeating(): Refit {
  return storesWith((store) => {
    let spans: Span[] | undefined
    return {
      async *scan(startMs, signal) {
        if (spans === undefined) {
          spans = []
          for await (const span of store.scan(startMs, signal)) spans.push(span)
        }
        yield* spans
      },
    }
  })
}

test('a file that changes between the listing and its reading, and once more while it is read, is recorded as it stayed', async () => {
  const world = new World(KINDS.files.watch, KINDS.files.memory)
  world.memory.put('a', 'first')
  let reads = 0
  world.memory.whileRead = () => {
    if (++reads < 4) world.memory.put('a', `write ${reads}`)
  }
  await world.start()
  await world.clock.pass(120_000)
  const versions = await world.versions()
  expect([reads >= 4, versions.length, await world.recorded()]).toEqual([true, 1, world.lying()])
  const [version] = versions as [VersionView]
  const certificate: Partial<Certificate> = version.certificate
  expect(certificate).toMatchObject({ consistent: true, changedUnderLook: [] })
  await world.stop()
})

test('an object that vanished between its listing and its reading takes nothing with it', async () => {
  // As S3 is listed where old versions far outnumber the current ones: what changed is asked for by name.
  const world = new World({}, { contentListed: false })
  for (const path of ['d/a', 'd/b', 'd/c', 'd/e']) world.memory.put(path, 'first')
  await world.start()
  await world.clock.pass(60_000)
  world.memory.put('d/a', 'second')
  world.memory.put('d/new', 'x')
  let gone = false
  world.memory.beforePage = () => {
    gone = true
    return undefined
  }
  await world.stop()
  await world.crash((parts) => storesWith((store) => ({
    async *inspect(listed, startMs, signal) {
      if (gone) world.memory.remove('d/a')
      yield* store.inspect(listed, startMs, signal)
    },
  }))(parts) as typeof parts)
  await world.clock.pass(60_000)
  expect(await world.recorded()).toEqual(world.lying())
  for (const version of await world.versions()) expect((await world.recorded(version.version)).filter((line) => /^d\/[bce] /.test(line))).toHaveLength(3)
  await world.stop()
})
