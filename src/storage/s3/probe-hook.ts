import { describe, isFailure } from '../../model/errors.ts'
import { fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import { within } from '../probe.ts'
import type { Means } from '../probe.ts'
import { Token } from './token.ts'

/** Whether there is a token that whoever posts can show. The listener itself is the daemon's. Never throws but for `signal`. */
export async function probeHook(tokenFile: string, means: Means, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  try {
    await within(means, signal, () => new Token(tokenFile, means.clock).digest())
    return [works('token')]
  } catch (error) {
    signal.throwIfAborted()
    return [fails('token', { reason: describe(error), action: isFailure(error) ? error.hint : undefined })]
  }
}
