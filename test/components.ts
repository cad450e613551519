import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { programOf } from '../tools/components.ts'

/** A real component, running on a free loopback port with a folder of its own. */
export interface Running {
  readonly port: number
  /** `http://127.0.0.1:PORT`, or `redis://127.0.0.1:PORT/0`. */
  readonly url: string
  /** Its own folder. */
  readonly folder: string
  /** `kill -9`. */
  kill(): Promise<void>
  /** Starts it again on the same port and folder, after `kill` or by itself. */
  restart(): Promise<void>
  pause(): void
  resume(): void
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

interface Recipe {
  readonly scheme: string
  readonly path: string
  /** `more` are what a test adds. */
  readonly arguments: (port: number, folder: string, more: readonly string[]) => readonly string[]
  readonly environment?: (folder: string) => Readonly<Record<string, string>>
  /** A URL path that answers 200 when it is ready; without, that the port takes connections. */
  readonly ready?: string
}

/** The keys of MinIO and versitygw. */
export const S3_KEYS = { accessKeyId: 'varve', secretAccessKey: 'varve-secret' }

const RECIPES: Readonly<Record<string, Recipe>> = {
  redis: {
    scheme: 'redis', path: '/0',
    arguments: (port, folder, more) => ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--save', '', ...more],
  },
  moto: { scheme: 'http', path: '', arguments: (port, _, more) => ['-H', '127.0.0.1', '-p', `${port}`, ...more], ready: '/moto-api/' },
  minio: {
    scheme: 'http', path: '',
    arguments: (port, folder, more) => ['server', '--quiet', '--address', `127.0.0.1:${port}`, join(folder, 'data'), ...more],
    environment: (folder) => ({ HOME: folder, MINIO_ROOT_USER: S3_KEYS.accessKeyId, MINIO_ROOT_PASSWORD: S3_KEYS.secretAccessKey, MINIO_BROWSER: 'off', MINIO_UPDATE: 'off' }),
    ready: '/minio/health/ready',
  },
  versitygw: {
    scheme: 'http', path: '',
    // Options before the folder, else versioning is silently off.
    arguments: (port, folder, more) => ['--port', `127.0.0.1:${port}`, '--health', '/healthz', '--quiet', ...more, 'posix', '--versioning-dir', made(folder, 'versions'), made(folder, 'root')],
    environment: () => ({ ROOT_ACCESS_KEY: S3_KEYS.accessKeyId, ROOT_SECRET_KEY: S3_KEYS.secretAccessKey }),
    ready: '/healthz',
  },
  // Serves `www`; `conf.d/*.server` adds to its server, `conf.d/*.conf` further ones, at its next start. `access.log` has a line for each request: method, path, status, bytes of the body.
  nginx: { scheme: 'http', path: '', arguments: (port, folder) => ['-p', folder, '-e', join(folder, 'error.log'), '-c', nginxConf(port, folder)] },
  'fake-gcs-server': {
    scheme: 'http', path: '',
    arguments: (port, _, more) => ['-scheme', 'http', '-host', '127.0.0.1', '-port', `${port}`, '-backend', 'memory', '-log-level', 'error', ...more],
    ready: '/_internal/healthcheck',
  },
  toxiproxy: { scheme: 'http', path: '', arguments: (port, _, more) => ['-host', '127.0.0.1', '-port', `${port}`, ...more], ready: '/version' },
  'pubsub-fake': { scheme: 'http', path: '', arguments: (port, _, more) => [`${port}`, ...more] },
}

function nginxConf(port: number, folder: string): string {
  made(folder, 'www')
  const conf = join(made(folder, 'conf.d'), '..', 'nginx.conf')
  // One process, which ends whole when it is killed.
  writeFileSync(conf, `daemon off; master_process off; pid nginx.pid;
    events {}
    http {
      include /etc/nginx/mime.types; default_type application/octet-stream;
      log_format plain '$request_method $uri $status $body_bytes_sent'; access_log access.log plain;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path tmp-${what};`).join(' ')}
      gzip on; gzip_types *; gzip_min_length 1;
      server { listen 127.0.0.1:${port}; root www; include conf.d/*.server; }
      include conf.d/*.conf;
    }`)
  return conf
}

function made(folder: string, name: string): string {
  mkdirSync(join(folder, name), { recursive: true })
  return join(folder, name)
}

const READY_MOST_MS = 60_000

/** Starts a component and waits until it answers. Throws, with how to get it, when it is missing: never skips. `more` are further arguments, `environment` further variables; its folder lies `within` another. */
export async function start(name: keyof typeof RECIPES & string, more: readonly string[] = [], environment: Readonly<Record<string, string>> = {}, within: string = tmpdir()): Promise<Running> {
  const recipe = RECIPES[name]
  if (recipe === undefined) throw new Error(`no component ${name}`)
  const program = programOf(name)
  const folder = mkdtempSync(join(within, `varve-${name}-`))
  const port = await freePort()
  const args = recipe.arguments(port, folder, more)
  let child: ChildProcess
  const begin = async (): Promise<void> => {
    // The component ends with the test process, however that ends.
    child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], { env: { ...process.env, ...recipe.environment?.(folder), ...environment }, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr?.on('data', (bytes: Buffer) => (said = (said + String(bytes)).slice(-2_000)))
    await untilReady(name, child, port, recipe.ready, () => said)
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await gone
  }
  await begin()
  return {
    port,
    url: `${recipe.scheme}://127.0.0.1:${port}${recipe.path}`,
    folder,
    kill: () => end('SIGKILL'),
    restart: async () => {
      await end('SIGKILL')
      await begin()
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop: async () => {
      await end('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilReady(name: string, child: ChildProcess, port: number, path: string | undefined, said: () => string): Promise<void> {
  const until = performance.now() + READY_MOST_MS
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${name} ended at once, exit ${child.exitCode}: ${said()}`)
    if (await (path === undefined ? accepts(port) : answers(`http://127.0.0.1:${port}${path}`))) return
    if (performance.now() > until) throw new Error(`${name} is not ready after ${READY_MOST_MS / 1000} s: ${said()}`)
    await sleep(50)
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then((response) => response.body?.cancel().then(() => response.ok) ?? response.ok, () => false)
}
