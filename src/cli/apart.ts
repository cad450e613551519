// A restore onto a mount that may hang, as whoever started it has it. A call to a server that is gone blocks the thread that makes it beyond any signal, so the restore is a process of its own,
// and this one, which touches nothing there, asks in between whether the mount still answers.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { isFailure, VarveError } from '../model/errors.ts'
import type { Context, Shore } from './context.ts'

const ASK_EVERY_MS = 5_000
// Who goes on writes down and clears away within a second; a thread that flushes much to a slow server would take longer, and may be killed as well.
const STOP_MOST_MS = 5_000

/** The exit code of `child`, which restores to `destination`. Throws DESTINATION_REFUSED when the mount was silent to the end; it is killed then, and waited for by nobody. */
export async function waitFor(child: ChildProcess, destination: string, shore: Shore, { clock, screen, signal }: Context): Promise<number> {
  const over = new AbortController()
  const kill = (): void => void child.kill('SIGKILL')
  process.on('exit', kill)
  const end = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const ended = async (): Promise<number> => {
    const [exit, by] = await end
    if (exit !== null) return exit
    throw new VarveError('DESTINATION_REFUSED', `the process that restores to ${destination} was ended (${by})`, { hint: 'run it again: what is in place stays' })
  }
  const silent = async (): Promise<never> => {
    for (;;) {
      await shore.ask().catch((error: unknown) => {
        if (!isFailure(error)) throw error
        throw new VarveError('DESTINATION_REFUSED', `${destination} cannot be written: ${error.message}`, { cause: error, hint: 'bring the file server or its network back, and run it again: what is in place stays; or name another destination' })
      })
      await clock.sleep(ASK_EVERY_MS, over.signal)
    }
  }
  const stopped = async (): Promise<never> => {
    if (!signal.aborted) await once(signal, 'abort', { signal: over.signal })
    if (child.connected) child.send(signal.reason as string, () => undefined)
    await clock.sleep(STOP_MOST_MS, over.signal)
    if (!over.signal.aborted) screen.note(`varve: ${destination} does not answer, and the restore was killed: run it again, and it goes on; what is in place stays`)
    throw signal.reason
  }
  try {
    return await Promise.race([ended(), silent(), stopped()])
  } finally {
    over.abort()
    process.off('exit', kill)
    kill()
    if (child.connected) child.disconnect()
    child.unref()
    for (const stream of [child.stdout, child.stderr]) stream?.destroy()
    await shore.close()
  }
}
