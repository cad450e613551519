// Runs in the guest, beside its servers: the real daemon on mounts of them, while another client writes and the servers hang, die and replace what they export. What it
// finds it prints, a fact a line: `FACT {"name": …, …}`. The host judges.
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const main = process.argv[2] as string
const SITE = '/run/site'
const FILES = 20
// A busy machine is no failure: whether something came in time is judged by what is printed.
const MOST_MS = 150_000
const env = { PATH: process.env['PATH'], HOME: SITE, NODE_COMPILE_CACHE: '/run/compiled' }

/** Where each watch looks, where the other client writes, and where the server has it. */
const MOUNTS = {
  v42: { at: '/run/mnt/v42', other: '/run/mnt/v42-other', behind: '/run/export4' },
  v3: { at: '/run/mnt/v3', other: '/run/mnt/v3-other', behind: '/run/export3/root/part' },
  ganesha: { at: '/run/mnt/ganesha', other: '/run/mnt/ganesha-other', behind: '/run/exportg' },
} as const
type Name = keyof typeof MOUNTS
const NAMES = Object.keys(MOUNTS) as Name[]

interface View {
  readonly watch: string
  readonly state: string
  readonly reason?: string
  readonly action?: string
  readonly head?: string
  readonly lastLook?: { readonly startedAt: string }
  readonly pollEveryMs: number
  readonly othersSeenWithinMs?: number
}

const began = performance.now()
function tell(name: string, facts: object): void {
  process.stdout.write(`FACT ${JSON.stringify({ name, atMs: Math.round(performance.now() - began), ...facts })}\n`)
}

function sh(command: string): string {
  return execFileSync('sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

async function until<T>(what: string, ask: () => Promise<T> | T, good: (answer: T) => boolean, mostMs: number): Promise<T> {
  const end = performance.now() + mostMs
  for (;;) {
    const answer = await ask()
    if (good(answer)) return answer
    if (performance.now() > end) throw new Error(`${what}: not within ${mostMs} ms; last: ${JSON.stringify(answer)}`)
    await sleep(200)
  }
}

async function run(...words: readonly string[]): Promise<{ readonly stdout: string; readonly exit: number }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...words, '--config', `${SITE}/varve.yaml`], { cwd: SITE, env, stdio: ['ignore', 'pipe', 'ignore'] })
  let stdout = ''
  child.stdout.on('data', (bytes: Buffer) => (stdout += String(bytes)))
  const [exit] = (await once(child, 'close')) as [number]
  return { stdout, exit }
}

const views = async (): Promise<readonly View[]> => (await run('status', '--json')).stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as View)
class Daemon {
  readonly child: ChildProcess
  said = ''

  constructor() {
    this.child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, 'run', '--config', `${SITE}/varve.yaml`], { cwd: SITE, env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on('data', (bytes: Buffer) => (this.said += String(bytes)))
  }

  /** Resolves when it has printed the version. */
  async made(watch: string, version: number, mostMs: number): Promise<number> {
    const from = performance.now()
    await until(`${watch}:v${version} in ${this.said}`, () => this.said, (said) => said.includes(`nfs/${watch}:v${version} `) || this.child.exitCode !== null, mostMs)
    if (this.child.exitCode !== null) throw new Error(`the daemon ended: ${this.said}`)
    return Math.round(performance.now() - from)
  }

  async stop(): Promise<{ readonly exit: number; readonly ms: number }> {
    const from = performance.now()
    this.child.kill('SIGTERM')
    const [exit] = (await once(this.child, 'exit')) as [number]
    return { exit, ms: Math.round(performance.now() - from) }
  }
}

const ganesha = { pid: 0 }
function startGanesha(): void {
  const child = spawn('ganesha.nfsd', ['-F', '-f', '/run/ganesha/ganesha.conf', '-L', '/run/ganesha/log', '-p', '/run/ganesha/pid'], { stdio: 'ignore' })
  ganesha.pid = child.pid as number
}

function mount(at: string, options: string, source: string): void {
  mkdirSync(at, { recursive: true })
  sh(`mount -t nfs -o ${options},retry=0 ${source} ${at}`)
}

function mountV3(): void {
  mount(MOUNTS.v3.at, 'vers=3,nolock,actimeo=1', '127.0.0.1:/run/export3/root/part')
}

async function mountAll(): Promise<void> {
  writeFileSync('/run/ganesha/ganesha.conf', `
    NFS_CORE_PARAM { Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; NFS_Port = 2050; }
    NFSV4 { Grace_Period = 5; Lease_Lifetime = 5; RecoveryBackend = fs; Minor_Versions = 1,2; }
    EXPORT { Export_Id = 1; Path = /run/exportg; Pseudo = /e; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 4; Transports = TCP; FSAL { Name = VFS; } }`)
  mount(MOUNTS.v42.at, 'vers=4.2,acregmax=3,acdirmax=3', '127.0.0.1:/')
  mount(MOUNTS.v42.other, 'vers=4.2,nosharecache,actimeo=0', '127.0.0.1:/')
  mountV3()
  mount(MOUNTS.v3.other, 'vers=3,nolock,nosharecache,actimeo=0', '127.0.0.1:/run/export3/root/part')
  startGanesha()
  // What a server that was killed has not answered is asked again after 3 s, not 60.
  await until('ganesha', () => {
    try {
      mount(MOUNTS.ganesha.at, 'vers=4.2,port=2050,actimeo=1,timeo=30', '127.0.0.1:/e')
      return true
    } catch {
      return false
    }
  }, (mounted) => mounted, MOST_MS)
  mount(MOUNTS.ganesha.other, 'vers=4.2,port=2050,nosharecache,actimeo=0,timeo=30', '127.0.0.1:/e')
}

function fill(folder: string, text: string): void {
  mkdirSync(`${folder}/sub`, { recursive: true })
  for (let i = 0; i < FILES; i++) writeFileSync(`${folder}/sub/f${i}`, `${text} ${i}`)
}

function configure(): void {
  const watch = (name: string, location: string): object => ({ name, location, artifact: `nfs/${name}`, type: 'dataset', settle: '200ms', max_wait: '2s', poll: '1s' })
  mkdirSync(`${SITE}/local`, { recursive: true })
  writeFileSync(`${SITE}/local/x`, 'x')
  for (const name of NAMES) fill(`${MOUNTS[name].behind}/data`, name)
  const watches = [watch('local', `${SITE}/local/`), ...NAMES.map((name) => watch(name, `${MOUNTS[name].at}/data/`))]
  writeFileSync(`${SITE}/varve.yaml`, JSON.stringify({ data: '.varve', watch: watches }))
}

/** Another client writes at all mounts at once: when does the daemon have it? */
async function othersWrite(daemon: Daemon, version: number, bounds?: readonly View[]): Promise<void> {
  for (const name of NAMES) writeFileSync(`${MOUNTS[name].other}/data/sub/new${version}`, `written by another client, ${version}`)
  const from = performance.now()
  const found = Promise.all(NAMES.map(async (name) => {
    await daemon.made(name, version, MOST_MS)
    tell('others', { watch: name, version, ms: Math.round(performance.now() - from), ...(bounds === undefined ? {} : { boundMs: viewOf(bounds, name).othersSeenWithinMs }) })
  }))
  // A look that waited for a server stretched the interval by twenty times as much.
  if (bounds === undefined) await lookAtAll()
  await found
}

/** No server answers any more: what else goes on, and what is said of them? */
async function hang(daemon: Daemon): Promise<void> {
  sh('echo 0 > /proc/fs/nfsd/threads')
  process.kill(ganesha.pid, 'SIGSTOP')
  let version = 0
  let madeMs = 0
  let statusMs = 0
  const hung = await until('all are known to hang', async () => {
    writeFileSync(`${SITE}/local/x`, `x${++version}`)
    madeMs = Math.max(madeMs, await daemon.made('local', version, MOST_MS))
    const from = performance.now()
    const all = await views()
    statusMs = Math.max(statusMs, Math.round(performance.now() - from))
    return all
  }, (all) => NAMES.every((name) => viewOf(all, name).reason !== undefined), MOST_MS)
  tell('hung', { views: hung, localVersions: version, localSlowestMs: madeMs, statusSlowestMs: statusMs, outposts: outposts(daemon) })
  tell('stopped', await daemon.stop())
}

/** The names of the processes that the daemon has for mounts that may hang. */
function outposts(daemon: Daemon): readonly string[] {
  return sh(`cat /proc/${daemon.child.pid}/task/*/children`).split(' ').filter((pid) => pid.trim() !== '').map((pid) => readFileSync(`/proc/${pid.trim()}/comm`, 'utf8').trim())
}

/** The server has the same files anew: what the client holds of them means nothing any more. */
async function replace(): Promise<void> {
  for (const name of NAMES) sh(`cd ${MOUNTS[name].behind} && cp -a data new && mv data old && mv new data && rm -r old && cd data/sub && cp -a f0 t && mv t f0`)
  const exits = await lookAtAll()
  const after = await views()
  tell('replaced', { exits, views: after })
}

/** The server has another folder where the root of the mount was, until somebody mounts it again. */
async function replaceRoot(): Promise<void> {
  sh(`cd ${MOUNTS.v3.behind}/.. && cp -a part new && rm -r part && mv new part`)
  const { exit } = await run('scan', 'v3', '--wait')
  const stale = viewOf(await views(), 'v3')
  sh(`umount -l ${MOUNTS.v3.at}`)
  mountV3()
  const again = await run('scan', 'v3', '--wait')
  tell('stale root', { exit, stale, exitAfter: again.exit, after: viewOf(await views(), 'v3') })
}

/** Asks for a look at each, one after the other, and waits for it: the exit codes. Where an outpost had to be started the first look was long, and stretched the interval. */
async function lookAtAll(): Promise<readonly number[]> {
  const exits: number[] = []
  for (const name of NAMES) exits.push((await run('scan', name, '--wait')).exit)
  return exits
}

const viewOf = (all: readonly View[], name: string): View => all.find(({ watch }) => watch === name) as View

async function main_(): Promise<void> {
  await mountAll()
  configure()
  tell('up', { mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => / nfs4? /.test(line)) })
  let daemon = new Daemon()
  for (const name of ['local', ...NAMES]) await daemon.made(name, 0, MOST_MS)
  await lookAtAll()
  const before = await views()
  tell('status', { views: before, outposts: outposts(daemon) })
  await othersWrite(daemon, 1, before)
  await hang(daemon)
  daemon = new Daemon()
  sh('rpc.nfsd 4')
  process.kill(ganesha.pid, 'SIGCONT')
  await othersWrite(daemon, 2)
  process.kill(ganesha.pid, 'SIGKILL')
  startGanesha()
  await othersWrite(daemon, 3)
  await replace()
  await replaceRoot()
  tell('end', { ...(await daemon.stop()), said: daemon.said })
}

await main_().then(
  () => tell('end', {}),
  (error: unknown) => tell('failed', { error: (error as Error).stack }),
)
process.exit()
