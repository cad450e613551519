// What `varve doctor` asks of a folder or file.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { keyOf } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import { degraded, fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import type { Watch } from '../../model/watch.ts'
import { silence } from '../probe.ts'
import type { Means } from '../probe.ts'
import type { Order, Walked, Word } from './examine.ts'

/** What a watch leaves out: a path, or a folder with all that may lie in it. It need not be readable. */
export type LeavesOut = (path: string, folder: boolean) => boolean

/**
 * Asks for all that looking at files and hearing of them needs, in a child of its own: no question is asked of the file system here. When the child is silent for longer than
 * the bound, what it was asking fails, and the rest is not asked. Never throws but for `signal`.
 */
export async function probeFiles(watch: Watch, location: Location, leavesOut: LeavesOut, means: Means, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  const { rootMarker } = watch.guard
  const { at, ...alone } = location
  const order: Order = {
    location: alone, clockSlackMs: watch.clockSlackMs, otherwise: `it is walked every ${watch.pollMs / 1_000} s`,
    // A walk that ends in time says more than one that is cut off.
    walkMs: means.boundMs / 2,
    ...(rootMarker !== undefined && { rootMarker }),
  }
  const diagnoses: Diagnosis[] = []
  for await (const word of wordsOf(order, means, signal)) {
    if ('found' in word) diagnoses.push(word.found)
    else if ('walked' in word) diagnoses.push(walkOf(word.walked, watch, location, leavesOut))
  }
  return diagnoses
}

/** What the child says, in order. What it was asking when it fell silent, or ended, fails. */
async function* wordsOf(order: Order, { clock, boundMs }: Means, signal: AbortSignal): AsyncGenerator<Word> {
  // Compiled, the child's name ends otherwise, and no compiler sees it here.
  const child = fork(new URL(import.meta.url.endsWith('.ts') ? './examiner.ts' : './examiner.js', import.meta.url), { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  const heard = listen(child)
  let asking = 'root'
  try {
    child.send(order)
    for (;;) {
      const answered = new AbortController()
      const late = clock.sleep(boundMs, AbortSignal.any([signal, answered.signal])).then(() => 'late' as const)
      const word = await Promise.race([heard(), late])
      answered.abort()
      signal.throwIfAborted()
      if (word === 'late' || word === 'ended') {
        const reason = word === 'late' ? `${silence(boundMs)}: the mount hangs` : 'the process that looked at it died'
        yield { found: fails(asking, { reason, action: word === 'late' ? 'see to its server or disk, or unmount it' : 'try again' }) }
        return
      }
      if ('done' in word) return
      if ('asks' in word) asking = word.asks
      yield word
    }
  } finally {
    leave(child)
  }
}

/** Answers each word of the child in turn. */
function listen(child: ChildProcess): () => Promise<Word | 'ended'> {
  const words: (Word | 'ended')[] = []
  let wake: () => void = () => undefined
  const put = (word: Word | 'ended'): void => {
    words.push(word)
    wake()
  }
  child.on('message', (word: Word) => put(word))
  child.on('error', () => put('ended'))
  // It comes behind the last word, as the end of the process need not.
  child.on('disconnect', () => put('ended'))
  return async () => {
    while (words.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return words.shift() as Word | 'ended'
  }
}

/** One that hangs in the kernel may not even die: nobody waits for it. */
function leave(child: ChildProcess): void {
  child.kill('SIGKILL')
  if (child.connected) child.disconnect()
  child.unref()
}

function walkOf({ files, folders, whole, barred }: Walked, watch: Watch, location: Location, leavesOut: LeavesOut): Diagnosis {
  const met = `${files} ${files === 1 ? 'file' : 'files'} in ${folders} ${folders === 1 ? 'folder' : 'folders'}`
  const counted = whole ? met : `${met}; there was no time for more`
  const wanted = barred.filter((path) => !leavesOut((location.at ?? '') + path.replace(/\/$/, ''), path.endsWith('/')))
  const [first] = wanted
  if (first === undefined) return works('walk', counted)
  const reason = `${keyOf(location, (location.at ?? '') + first, false)} may not be read${wanted.length > 1 ? `, nor ${wanted.length - 1} more` : ''}`
  const action = 'give the user of Varve permission to read it (and to search folders), or exclude it'
  if (watch.onUnreadable === 'skip') return degraded('walk', { reason: `${reason}: it is left out of versions, and named in their certificates`, action })
  return fails('walk', { reason: `${reason}: nothing is recorded (on_unreadable is fail)`, action })
}
