import type { Tell } from '../daemon/daemon.ts'
import type { Screen } from './screen.ts'
import { formatVersion, visible } from './words.ts'

/** Shows progress alone: for a look whose end the command itself tells. */
export function tellOn(screen: Screen): Tell {
  return { recorded: () => undefined, state: () => undefined, progress: screen.progress }
}

/** Prints every new version and every state as one line: for the daemon. */
export function tellAll(screen: Screen, defaultEntity: string): Tell {
  return {
    recorded: (_watch, version) => screen.say(screen.paint('green', formatVersion(version, defaultEntity))),
    state: (watch, state, reason, action) => screen.say(screen.paint('yellow', stateLine(watch, state, reason, action))),
    progress: screen.progress,
  }
}

/** `mnist is held: what is wrong; what to do`. */
export function stateLine(watch: string, state: string, reason: string | undefined, action: string | undefined): string {
  return visible(`${watch} is ${state}${reason === undefined ? '' : `: ${reason}`}${action === undefined ? '' : `; ${action}`}`)
}
