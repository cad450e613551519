// A folder seen through FUSE as through a file server: slow, broken or hung, as a test wants it.
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { programOf } from '../../../tools/components.ts'

export interface Slow {
  /** Where the server has its files; it ends in `/`. What is written here is another client's change. */
  readonly behind: string
  /** Where they are seen; it ends in `/`. */
  readonly root: string
  /** Makes the next `count` calls of one kind fail, for ever when it is negative; with errno 0 they hang. `.` is the root. */
  fail(op: 'lookup' | 'getattr' | 'open' | 'opendir' | 'readdir' | 'read', path: string, errno: number, count?: number): Promise<void>
  /** Ends all failing, and frees what hangs. */
  mend(): Promise<void>
  /** The server stops answering at all, or goes on. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

export const ERRNO = { hang: 0, EIO: 5, ETIMEDOUT: 110, ESTALE: 116, EREMOTEIO: 121 } as const

/** Serves an empty folder; each call takes `delay` (`1ms`). */
export async function slowly(delay = '0ms'): Promise<Slow> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'varve-slow-')))
  const [behind, root] = [join(folder, 'behind'), join(folder, 'seen')]
  for (const made of [behind, root]) mkdirSync(made)
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', programOf('slow-fs'), delay, behind, root], { stdio: ['pipe', 'pipe', 'pipe'] })
  await answer(child)
  const tell = (line: string): Promise<void> => {
    child.stdin.write(`${line}\n`)
    return answer(child)
  }
  return {
    behind: `${behind}/`,
    root: `${root}/`,
    fail: (op, path, errno, count = -1) => tell(`${op} ${path} ${errno} ${count}`),
    mend: () => tell('clear'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async stop() {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      // What still hangs in it ends with the connection.
      execFileSync('umount', ['-l', root])
      rmSync(folder, { recursive: true })
    },
  }
}

function answer(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = ''
    const hear = (bytes: Buffer): void => void (said += String(bytes))
    const end = (): void => hearing(() => reject(new Error(`slow-fs ended: ${said}`)))
    const ok = (bytes: Buffer): void => hearing(() => (String(bytes) === 'ok\n' ? resolve() : reject(new Error(`slow-fs: ${String(bytes)}`))))
    const hearing = (then: () => void): void => {
      child.stderr?.off('data', hear)
      child.stdout?.off('data', ok)
      child.off('close', end)
      then()
    }
    child.stderr?.on('data', hear)
    child.stdout?.on('data', ok)
    child.on('close', end)
  })
}

/** The processes that a process, this one unless another is said, has for mounts that may hang. */
export function outposts(pid: number | 'self' = 'self'): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => read(`/proc/${pid}/task/${task}/children`).split(' ').filter((child) => child !== ''))
  // One that was killed and hangs has no command line any more, only a name; one that begins has not got its name yet.
  return children.filter((child) => read(`/proc/${child}/comm`) === 'varve outpost\n' || read(`/proc/${child}/cmdline`).includes('outpost-end')).map(Number)
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // It ended since it was listed.
    return ''
  }
}
