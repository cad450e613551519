import type { Clock } from '../model/clock.ts'
import { describe, isFailure } from '../model/errors.ts'
import type { Queue } from '../queue/queue.ts'
import type { Registry } from '../registry/registry.ts'
import type { ChangeSource, Hearing } from '../storage/storage.ts'
import type { Log } from './parts.ts'

// Probes give up after a second, by default.
const REGISTRY_MOST_MS = 800
// Each proof that it can be written to is a sync of the disk: whoever asks more often is told the last one.
const PROOF_EVERY_MS = 1_000
// What hears begins within a second or two. What hangs, on a mount that does not answer, may do so for ever, and must not keep all others from being ready.
const BEGIN_MOST_MS = 10_000

/** One thing that the daemon needs to do its work. */
export interface Check {
  /** `registry`, `queue`, or the name of a source. */
  readonly check: string
  readonly ok: boolean
  /** What is wrong with it; with `ok` what could be better: a source that does not hear is started again, and its watches are looked at by the clock; a queue may want another setting. */
  readonly why?: string
}

/** What `/readyz` asks: whether the daemon can do its work, and not whether all that it works on is well. */
export interface Health {
  /** Resolves within a second, whatever hangs. */
  checks(): Promise<readonly Check[]>
}

interface Account {
  readonly source: ChangeSource
  /** It has begun to hear, or could not for reasons of its own: one broken watch holds no other. */
  tried: boolean
  /** When the attempt that is under way began. */
  sinceMs: number | undefined
  why: string | undefined
}

/** Keeps account of the daemon's parts. `sources` are those given, kept account of: hand these to `runDaemon`. */
export function healthOf(parts: {
  readonly registry: Pick<Registry, 'watchRow' | 'proveWritable' | 'setHearing'>
  readonly queue: Pick<Queue, 'trouble' | 'advice'>
  readonly sources: readonly ChangeSource[]
  readonly clock: Pick<Clock, 'sleep' | 'monotonic'>
  readonly log: Log
}): Health & { readonly sources: readonly ChangeSource[] } {
  const accounts = parts.sources.map((source): Account => ({ source, tried: false, sinceMs: undefined, why: 'it has not begun to hear' }))
  let asked: Promise<string | undefined> | undefined

  /** One question at a time: a registry that hangs must not be asked ever more. */
  const registryTrouble = async (): Promise<string | undefined> => {
    asked ??= parts.registry.watchRow('').then(() => undefined, describe).finally(() => (asked = undefined))
    const enough = new AbortController()
    const late = parts.clock.sleep(REGISTRY_MOST_MS, enough.signal).then(() => 'it does not answer')
    return Promise.race([asked, late]).finally(() => enough.abort())
  }

  let proving: Promise<void> | undefined
  let provenMs = -Infinity
  let unwritable: string | undefined

  /** Why what is heard cannot be marked, such as a full disk. A long commit of another process makes it wait, and says nothing. */
  const writeTrouble = async (): Promise<string | undefined> => {
    if (proving === undefined && parts.clock.monotonic() - provenMs >= PROOF_EVERY_MS) {
      provenMs = parts.clock.monotonic()
      const proof = parts.registry.proveWritable().then(() => undefined, (error: unknown) => (isFailure(error, 'REGISTRY_BUSY') ? unwritable : describe(error)))
      proving = proof.then((told) => void (unwritable = told)).finally(() => (proving = undefined))
    }
    const enough = new AbortController()
    await Promise.race([proving, parts.clock.sleep(REGISTRY_MOST_MS, enough.signal)]).finally(() => enough.abort())
    return unwritable
  }

  const isTried = ({ tried, sinceMs }: Account): boolean => tried || (sinceMs !== undefined && parts.clock.monotonic() - sinceMs >= BEGIN_MOST_MS)

  return {
    sources: accounts.map((account) => keepAccount(account, parts)),
    checks: async () => [
      checkOf('registry', await Promise.all([registryTrouble(), writeTrouble()]).then(([deaf, full]) => deaf ?? full)),
      checkOf('queue', parts.queue.trouble() ?? parts.queue.advice(), parts.queue.trouble() === undefined),
      ...accounts.map((account) => checkOf(account.source.name, account.why, isTried(account))),
    ],
  }
}

function checkOf(check: string, why: string | undefined, ok = why === undefined): Check {
  return { check, ok, ...(why !== undefined && { why }) }
}

/** A source emits each time that it begins to hear: so its first emission says that it has. */
function keepAccount(account: Account, { registry, clock, log }: { readonly registry: Pick<Registry, 'setHearing'>; readonly clock: Pick<Clock, 'monotonic'>; readonly log: Log }): ChangeSource {
  const { source } = account
  let last = '{}'
  /** Into the account, and into the rows of the watches, for `status`. */
  const note = ({ trouble, limits }: Hearing): void => {
    account.why = trouble === undefined ? undefined : describe(trouble)
    const reason = account.why === undefined ? {} : { reason: `it is not heard: ${account.why}` }
    const action = isFailure(trouble) && trouble.hint !== undefined ? { action: trouble.hint } : {}
    const told = { ...reason, ...action, ...(limits !== undefined && { limits }) }
    if (JSON.stringify(told) === last) return
    last = JSON.stringify(told)
    registry.setHearing(source.serves ?? [], source.name, told).catch((error: unknown) => log.warn({ name: source.name, error: describe(error) }, 'how it hears could not be written down'))
  }
  return {
    name: source.name,
    async listen(emit, signal) {
      const emitAndNote: typeof emit = async (hints) => {
        await emit(hints).catch((error: unknown) => {
          unmarked = true
          throw error
        })
        account.tried = true
        // What it said of itself stands until it says otherwise.
        if (account.why !== undefined && !troubled) note({})
      }
      let troubled = false
      // What was heard and could not be marked is no trouble of the source.
      let unmarked = false
      account.sinceMs = clock.monotonic()
      const tell = (hearing: Hearing): void => {
        troubled = hearing.trouble !== undefined
        note(hearing)
      }
      try {
        await source.listen(emitAndNote, signal, tell)
        account.why = 'it ended'
        if (signal.aborted) account.tried = false
      } catch (error) {
        note({ trouble: error })
        account.tried ||= !unmarked
        throw error
      } finally {
        account.sinceMs = undefined
      }
    },
  }
}
