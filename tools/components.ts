// Has the real components that tests need by name: `node tools/components.ts NAME…`. Idempotent; what is built lies in a cache outside the clone.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A component: where its program is, and the commands that bring it into `folder` (an empty folder that becomes its place). */
interface Component {
  readonly program: string
  readonly commands: (folder: string) => readonly (readonly string[])[]
  readonly environment?: (folder: string) => Readonly<Record<string, string>>
}

const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'varve-test')
const APT = ['apt-get', 'install', '-y', '-qq', '--no-install-recommends']
const go = (module: string): Omit<Component, 'program'> => ({ commands: () => [['go', 'install', module]], environment: (folder) => ({ GOBIN: folder, GOFLAGS: '-mod=mod' }) })
// A program of our own, `test/NAME`, is another one when its text is: so is its place.
const own = (name: string): Component => {
  const source = join(import.meta.dirname, '..', 'test', name)
  const text = createHash('sha256').update(['main.go', 'go.mod', 'go.sum'].map((file) => readFileSync(join(source, file), 'utf8')).join('\0')).digest('hex').slice(0, 12)
  return {
    program: join(CACHE, `${name}-${text}`, name),
    commands: (folder) => [['go', 'build', '-C', source, '-o', join(folder, name), '.']],
    environment: () => ({ GOFLAGS: '-mod=readonly' }),
  }
}

export const COMPONENTS: Readonly<Record<string, Component>> = {
  strace: { program: 'strace', commands: () => [['apt-get', 'update', '-qq'], [...APT, 'strace']] },
  // An NFS server of the kernel, its clients, and ganesha beside it, in a user-mode Linux: this machine's kernel need know nothing of NFS.
  nfs: { program: 'ganesha.nfsd', commands: () => [['apt-get', 'update', '-qq'], [...APT, 'user-mode-linux', 'nfs-kernel-server', 'nfs-common', 'rpcbind', 'kmod', 'nfs-ganesha', 'nfs-ganesha-vfs']] },
  'slow-fs': own('slow-fs'),
  redis: { program: 'redis-server', commands: () => [['apt-get', 'update', '-qq'], [...APT, 'redis-server']] },
  nginx: { program: 'nginx', commands: () => [['apt-get', 'update', '-qq'], [...APT, 'nginx-light', 'openssl']] },
  // Only a benchmark needs it: the peer of a restore.
  rclone: { program: 'rclone', commands: () => [['apt-get', 'update', '-qq'], [...APT, 'rclone']] },
  moto: {
    program: join(CACHE, 'moto-5.2.5', 'bin', 'moto_server'),
    commands: (folder) => [
      ['python3', '-m', 'venv', folder],
      [join(folder, 'bin', 'pip'), 'install', '-q', '--disable-pip-version-check', 'moto[s3,sqs,sns,events]==5.2.5', 'flask', 'flask-cors'],
    ],
  },
  'pubsub-fake': own('pubsub-fake'),
  'fake-gcs-server': { program: join(CACHE, 'fake-gcs-server-1.56.1', 'fake-gcs-server'), ...go('github.com/fsouza/fake-gcs-server@v1.56.1') },
  toxiproxy: { program: join(CACHE, 'toxiproxy-2.12.0', 'server'), ...go('github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0') },
  minio: { program: join(CACHE, 'minio-20260212201848', 'minio'), ...go('github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c') },
  versitygw: { program: join(CACHE, 'versitygw-1.7.0', 'versitygw'), ...go('github.com/versity/versitygw/cmd/versitygw@v1.7.0') },
}

/** The component's program, ready to be started. Throws, with how to get it, when it is not there. */
export function programOf(name: string): string {
  const component = COMPONENTS[name]
  if (component === undefined) throw new Error(`no component ${name}; there are ${Object.keys(COMPONENTS).join(', ')}`)
  const found = locate(component.program)
  if (found === undefined) throw new Error(`the component ${name} is missing (${component.program}); get it with: node tools/components.ts ${name}`)
  return found
}

function locate(program: string): string | undefined {
  if (program.startsWith('/')) return existsSync(program) ? program : undefined
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program)).find((path) => existsSync(path))
}

/** Brings the component, unless it is there. Throws with the command that failed and what it said. */
export function install(name: string): void {
  const component = COMPONENTS[name]
  if (component === undefined) throw new Error(`no component ${name}; there are ${Object.keys(COMPONENTS).join(', ')}`)
  if (locate(component.program) !== undefined) return
  const place = component.program.startsWith('/') ? join(CACHE, component.program.slice(CACHE.length + 1).split('/')[0] as string) : undefined
  // A Python environment holds its own path, so it is made in its place; its program comes last. A Go build appears whole, by a rename.
  const folder = place === undefined ? CACHE : component.environment === undefined ? place : mkdtempSync(join(CACHE, '.building-'))
  for (const [command, ...args] of component.commands(folder)) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', ...component.environment?.(folder) }
    const ended = spawnSync(command as string, args, { env, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', maxBuffer: 1 << 28 })
    if (ended.status !== 0) {
      if (place !== undefined && folder !== place) rmSync(folder, { recursive: true, force: true })
      throw new Error(`${name}: ${[command, ...args].join(' ')}: ${ended.error?.message ?? `exit ${ended.status}`}\n${(ended.stderr ?? '').slice(-2_000)}`)
    }
  }
  if (place !== undefined && folder !== place) {
    rmSync(place, { recursive: true, force: true })
    renameSync(folder, place)
  }
  programOf(name)
}

/** Runs `task` while no other process of this machine does: two test runs must not build at once. A lock of a dead process is taken over. */
function exclusively(task: () => void): void {
  mkdirSync(CACHE, { recursive: true })
  const lock = join(CACHE, '.lock')
  for (;;) {
    try {
      const file = openSync(lock, 'wx')
      writeSync(file, String(process.pid))
      closeSync(file)
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if (isStale(lock)) rmSync(lock, { force: true })
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    }
  }
  try {
    task()
  } finally {
    rmSync(lock, { force: true })
  }
}

function isStale(lock: string): boolean {
  try {
    const pid = readFileSync(lock, 'utf8')
    // A lock without a number is being written at this moment, or was left by a crash long ago.
    return pid === '' ? Date.now() - statSync(lock).mtimeMs > 10_000 : !existsSync(join('/proc', pid))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(dirname(fileURLToPath(import.meta.url)))
  for (const name of process.argv.slice(2)) {
    if (COMPONENTS[name] !== undefined && locate(COMPONENTS[name].program) === undefined) process.stderr.write(`getting ${name}…\n`)
    try {
      exclusively(() => install(name))
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`)
      process.exitCode = 1
    }
  }
}
