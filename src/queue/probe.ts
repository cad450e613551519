import { describe, isFailure, scrub } from '../model/errors.ts'
import { degraded, fails, works } from '../model/probe.ts'
import type { Diagnosis } from '../model/probe.ts'
import { connected, examine, isRefusal, promptConnection, PROMPT_MS, REFUSED_HINT } from './redis.ts'

const CAPABILITY = 'redis'

/** Whether Redis at `url` answers, is new enough, and keeps what it is told. Ends within some seconds; never throws but for `signal`. */
export async function probeRedis(url: string, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  const redis = promptConnection(url)
  let trouble: unknown
  redis.on('error', (error) => (trouble = error))
  try {
    await connected(redis, AbortSignal.any([signal, AbortSignal.timeout(PROMPT_MS)]))
    const notes = await examine(redis)
    if (notes.length === 0) return [works(CAPABILITY, 'it answers, is new enough, and drops nothing')]
    const denied = notes.some((note) => note.startsWith('INFO is denied'))
    return [degraded(CAPABILITY, { reason: notes.join('; '), ...(denied && { action: 'allow INFO to the user in the URL', permission: '+info' }) })]
  } catch (error) {
    signal.throwIfAborted()
    if (isFailure(error)) return [fails(CAPABILITY, { reason: error.message, action: error.hint })]
    const why = describe(trouble ?? error)
    const named = isRefusal(why)
    const action = named ? REFUSED_HINT : 'start it, or correct the URL of queue; until it answers nothing is looked at'
    return [fails(CAPABILITY, { reason: `Redis at ${scrub(url)} ${named ? 'refuses' : 'does not answer'}: ${why}`, action })]
  } finally {
    redis.disconnect()
  }
}
