// Who holds a lease: a process, named so that others on this machine can tell whether it still runs.
import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** A name for this process that no other has, each time another. */
export function ownerName(): string {
  const [here, started] = [machine(), statOf(process.pid)?.started]
  // Where the system does not say who it is, nobody can tell: then the lease runs out.
  return here === undefined || started === undefined ? `${hostname()}:${process.pid}:${randomUUID()}` : [here, process.pid, started, randomUUID()].join(' ')
}

/**
 * True only when the process that called itself `owner` is known to have ended: it ran since this boot, in this container (a number means another process elsewhere), and its
 * number is free, or another's by now. A wrong answer would cost a look, never a version: the epoch fences who was taken for dead.
 */
export function hasDied(owner: string): boolean {
  const [here, pid, started] = owner.split(' ')
  if (here === undefined || pid === undefined || started === undefined || here !== machine()) return false
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true
  }
  // It may be another user's, and hidden.
  const now = statOf(Number(pid))
  return now !== undefined && (now.started !== started || now.state === 'Z')
}

/** This boot of this machine, and the space in which its processes are numbered. */
function machine(): string | undefined {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    // No Linux, or no /proc.
    return undefined
  }
}

/** State and start, in ticks since the boot, of proc_pid_stat(5): the 3rd and the 22nd field. The 2nd, a name in parentheses, may hold anything. */
function statOf(pid: number): { readonly state: string | undefined; readonly started: string | undefined } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0], started: fields[19] }
  } catch {
    // Gone, or hidden.
    return undefined
  }
}
