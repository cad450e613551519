// After a commit: what older versions lost by it, and what they have again. It is asked beside the commits, not in them: no commit pays for the size of the registry.
import type { Clock } from '../model/clock.ts'
import { describe } from '../model/errors.ts'
import type { Audited, Fallout } from '../model/fate.ts'
import type { Registry } from '../registry/registry.ts'
import type { Log, Tell } from './parts.ts'
import { differing, REST, tellTurned, withRefuges } from './refuges.ts'

interface FollowParts {
  readonly registry: Pick<Registry, 'inQuestion' | 'refuges' | 'recordFates' | 'turned' | 'reclaim'>
  readonly clock: Clock
  readonly log: Log
  readonly tell: Tell
}

/** Finds what else holds what these commits closed, or what they brought back, and tells the versions that are in another state for it. */
async function followUp(parts: FollowParts, fallouts: readonly Fallout[], rest: () => Promise<void> = async () => undefined): Promise<void> {
  const { registry } = parts
  const touched = new Map<number, { readonly of: Audited; readonly first: number }>()
  for await (const { of, first, rows } of registry.inQuestion(fallouts)) {
    touched.set(of.collection, { of, first })
    await registry.recordFates(of, differing(await withRefuges(registry, of, rows.map((row) => [row, 'missing'] as const))))
    await rest()
  }
  for (const { of, first } of touched.values()) tellTurned(parts, of, await registry.turned(of, first))
}

/** The same for a command that made the commits itself: they stand, and what cannot be followed up is left to the audit. */
export async function followUpNow(parts: FollowParts, fallouts: readonly Fallout[]): Promise<void> {
  await followUp(parts, fallouts).catch((error: unknown) => parts.log.warn({ error: describe(error) }, 'what a commit did to older versions is not known yet'))
}

/** The commits of a daemon that are still to be followed up. */
export class Aftermath {
  #pending: Fallout[] = []
  #wake = (): void => undefined

  add(fallout: Fallout | undefined): void {
    if (fallout === undefined) return
    this.#pending.push(fallout)
    this.#wake()
  }

  /** Takes away what a removal that was killed has left, then follows up until `signal` aborts; what came while it rested is asked about at once, together. */
  async run(parts: FollowParts, signal: AbortSignal): Promise<void> {
    const { clock, registry } = parts
    await registry.reclaim()
    let startedMs = 0
    const rest = async (): Promise<void> => {
      await clock.sleep((clock.monotonic() - startedMs) * REST, signal)
      signal.throwIfAborted()
      startedMs = clock.monotonic()
    }
    while (!signal.aborted) {
      if (this.#pending.length === 0) await this.#more(signal)
      startedMs = clock.monotonic()
      await followUp(parts, this.#pending.splice(0), rest)
      await rest()
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal.addEventListener('abort', wake)
    })
  }
}
