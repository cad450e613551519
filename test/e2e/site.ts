// Varve as an operator has it: a folder with a configuration, the daemon as a process of its own, the command line beside it.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ChangeView, EntryView, VersionView, WatchView } from '../../src/model/version.ts'
import { ended, plainEnvironment } from '../cli/process.ts'
import type { Ended } from '../cli/process.ts'
import { S3_KEYS } from '../components.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const CRASH = new URL('./crash.ts', import.meta.url).href

/** One running daemon. */
export interface Daemon {
  readonly child: ChildProcess
  /** All it has printed so far. */
  said(): string
  logged(): string
  /** Resolves when it has ended, however. */
  readonly ended: Promise<Ended>
  /** SIGTERM; answers how it ended. */
  stop(): Promise<Ended>
  /** `kill -9`. */
  kill(): Promise<void>
}

export interface How {
  /** A command other than `run`. */
  readonly words?: readonly string[]
  /** Dies of SIGKILL at the so-manieth passing of a named point: `before-mark:1`. */
  readonly crashAt?: string
  /** Runs as this user. */
  readonly uid?: number
  readonly environment?: Readonly<Record<string, string>>
}

export interface Site {
  readonly folder: string
  /** Writes the configuration: YAML holds JSON. It listens nowhere unless it says where, since many daemons run side by side. */
  configure(config: object): void
  run(how?: How): Daemon
  /** Runs one command to its end. */
  varve(...words: readonly string[]): Promise<Ended>
  log(artifact: string): Promise<VersionView[]>
  files(version: string): Promise<EntryView[]>
  diff(version: string, other: string): Promise<ChangeView[]>
  history(artifact: string, path: string): Promise<ChangeView[]>
  /** The state of the only watch, or of the one so named. */
  status(watch?: string): Promise<WatchView>
  /** Ends what still runs, and removes the folder. */
  remove(): Promise<void>
}

/** A fresh folder in which to run Varve. */
export function site(): Site {
  const folder = mkdtempSync(join(tmpdir(), 'varve-e2e-'))
  const daemons = new Set<Daemon>()
  const begin = (words: readonly string[], how: How = {}): ChildProcess => {
    const preload = how.crashAt === undefined ? [] : ['--import', CRASH]
    const environment = {
      ...plainEnvironment(), AWS_ACCESS_KEY_ID: S3_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey, AWS_REGION: 'us-east-1',
      ...(how.crashAt === undefined ? {} : { CRASH_AT: how.crashAt }), ...how.environment,
    }
    return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...preload, MAIN, ...words, '--config', 'varve.yaml'],
      { cwd: folder, env: environment, ...(how.uid === undefined ? {} : { uid: how.uid, gid: how.uid }) })
  }
  const varve = (...words: readonly string[]): Promise<Ended> => ended(begin(words))
  const lines = async <T>(...words: readonly string[]): Promise<T[]> => {
    const { stdout, stderr } = await varve(...words, '--json')
    if (stderr !== '' && !stderr.startsWith('no daemon runs')) throw new Error(`varve ${words.join(' ')}: ${stderr}`)
    return stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as T)
  }
  return {
    folder,
    configure: (config) => writeFileSync(join(folder, 'varve.yaml'), JSON.stringify({ listen: 'off', ...config })),
    run(how) {
      const daemon = daemonOf(begin(how?.words ?? ['run'], how))
      daemons.add(daemon)
      return daemon
    },
    varve,
    log: (artifact) => lines('log', artifact),
    files: (version) => lines('files', version),
    diff: (version, other) => lines('diff', version, other),
    history: (artifact, path) => lines('history', artifact, path),
    async status(watch) {
      const views = await lines<WatchView>('status')
      const view = views.find((one) => watch === undefined || one.watch === watch)
      if (view === undefined) throw new Error(`no watch ${watch} in ${JSON.stringify(views)}`)
      return view
    },
    async remove() {
      for (const daemon of daemons) await daemon.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function daemonOf(child: ChildProcess): Daemon {
  let said = ''
  let logged = ''
  child.stdout?.on('data', (bytes: Buffer) => (said += String(bytes)))
  child.stderr?.on('data', (bytes: Buffer) => (logged += String(bytes)))
  const end = ended(child)
  const ending = (signal: NodeJS.Signals): Promise<Ended> => {
    child.kill(signal)
    return end
  }
  return { child, said: () => said, logged: () => logged, ended: end, stop: () => ending('SIGTERM'), kill: async () => void (await ending('SIGKILL')) }
}

/** Asks until the answer is `good`; throws, with the last answer, when it is not within `mostMs`. */
export async function until<T>(ask: () => Promise<T> | T, good: (answer: T) => boolean, mostMs: number, everyMs = 100): Promise<T> {
  const end = performance.now() + mostMs
  for (;;) {
    const answer = await ask()
    if (good(answer)) return answer
    if (performance.now() > end) throw new Error(`not within ${mostMs} ms; last: ${JSON.stringify(answer)}`)
    await sleep(everyMs)
  }
}

/** Resolves when the daemon has printed what `pattern` matches; throws when it does not within `mostMs`, or ends before. */
export async function says(daemon: Daemon, pattern: RegExp, mostMs: number): Promise<string> {
  await until(() => `${daemon.said()}${pattern.test(daemon.said()) ? '' : daemon.logged()}`, (text) => pattern.test(text) || daemon.child.exitCode !== null, mostMs, 20)
  if (!pattern.test(daemon.said())) throw new Error(`ended without ${pattern}: ${daemon.said()}${daemon.logged()}`)
  return daemon.said()
}
