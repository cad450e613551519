import type { Tell } from '../daemon/daemon.ts'
import type { Marked } from '../model/version.ts'
import type { Screen } from './screen.ts'
import { formatCount, formatMark, formatVersion, visible } from './words.ts'

// A line stays a line: `lineage` has them all.
const NAMES_MOST = 3

/** Shows progress alone: for a look whose end the command itself tells. */
export function tellOn(screen: Screen): Tell {
  return { recorded: () => undefined, state: () => undefined, progress: screen.progress }
}

/** Prints every new version and every state as one line: for the daemon. */
export function tellAll(screen: Screen, defaultEntity: string): Tell {
  return {
    recorded(_watch, version, marked) {
      screen.say(screen.paint('green', formatVersion(version, defaultEntity)))
      for (const one of marked) screen.say(screen.paint('yellow', markedLine(one, defaultEntity)))
    },
    state: (watch, state, reason, action) => screen.say(screen.paint('yellow', stateLine(watch, state, reason, action))),
    progress: screen.progress,
  }
}

/** `runs train-1, train-2 and 3 more are marked: 2 entries of vision/mnist:v3 changed with v4: a, b`. */
export function markedLine(marked: Marked, defaultEntity: string): string {
  const names = marked.names.slice(0, NAMES_MOST).map(visible).join(', ')
  const more = marked.runs - Math.min(marked.names.length, NAMES_MOST)
  return `${marked.runs === 1 ? 'run' : 'runs'} ${names}${more > 0 ? ` and ${formatCount(more)} more` : ''} ${marked.runs === 1 ? 'is' : 'are'} marked: ${formatMark(marked, defaultEntity)}`
}

/** `mnist is held: what is wrong; what to do`. */
export function stateLine(watch: string, state: string, reason: string | undefined, action: string | undefined): string {
  return visible(`${watch} is ${state}${reason === undefined ? '' : `: ${reason}`}${action === undefined ? '' : `; ${action}`}`)
}
