// What `varve doctor` asks of the daemon's listener.
import { describe } from '../model/errors.ts'
import { degraded, fails, works } from '../model/probe.ts'
import type { Diagnosis } from '../model/probe.ts'

/** Where the daemon is to listen. */
export interface ListenerOrder {
  readonly host: string
  readonly port: number
  /** The operator chose the address: another process there keeps the daemon from starting. */
  readonly said: boolean
  /** The paths that stores are to post to. */
  readonly hooks: readonly string[]
  /** A daemon works on the data folder. */
  readonly runs: boolean
}

const CAPABILITY = 'listener'
// /readyz itself answers within a second.
const ANSWER_MOST_MS = 3_000

interface Ready {
  readonly checks: readonly { readonly check: string; readonly ok: boolean; readonly why?: string }[]
}

/** Whether the running daemon answers, and knows the paths; or whether one that starts could have the address. Never throws but for `signal`. */
export async function probeListener(order: ListenerOrder, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  const { hooks, runs, said } = order
  // A free port, chosen at the start: only `varve run` knows, and says.
  if (order.port === 0) return [degraded(CAPABILITY, { reason: 'port 0 is another port at each start, which varve run prints: it cannot be asked', action: 'write a port in listen' })]
  const base = baseOf(order)
  const bad = said || hooks.length > 0 ? fails : degraded
  const ask = (path: string): Promise<Response> => fetch(base + path, { redirect: 'error', signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MOST_MS)]) })
  try {
    const ready = readyOf(await (await ask('/readyz')).text())
    if (ready === undefined) return [bad(CAPABILITY, { reason: 'another process answers there', action: 'set listen to another address, or to off' })]
    if (!runs) return [bad(CAPABILITY, { reason: 'the daemon of another data folder answers there', action: 'set listen to another address, or to off' })]
    const unknown: string[] = []
    for (const path of hooks) if (await isUnknown(await ask(path))) unknown.push(path)
    if (unknown.length > 0) return [fails(CAPABILITY, { reason: `the running daemon does not know ${unknown.join(' and ')}`, action: 'restart it: it read its configuration before that was in it' })]
    const ill = ready.checks.filter(({ ok }) => !ok)
    const unheard = ready.checks.filter(({ ok, why }) => ok && why !== undefined)
    if (ill.length === 0 && unheard.length > 0) return [works(CAPABILITY, `the running daemon is ready; ${listed(unheard)}`)]
    if (ill.length === 0) return [works(CAPABILITY, 'the running daemon is ready')]
    return [degraded(CAPABILITY, { reason: `the running daemon is not ready: ${listed(ill)}`, action: 'see varve status' })]
  } catch (error) {
    signal.throwIfAborted()
    const { cause } = error as { readonly cause?: NodeJS.ErrnoException }
    const why = describe(cause ?? error)
    if (!runs && cause?.code === 'ECONNREFUSED') return [works(CAPABILITY, 'free, for no daemon runs')]
    if (!runs) return [bad(CAPABILITY, { reason: `another process is there, or the address cannot be reached: ${why}`, action: 'set listen to another address, or to off' })]
    return [bad(CAPABILITY, { reason: `the running daemon does not answer: ${why}`, action: 'see its log, or restart it' })]
  }
}

function listed(checks: Ready['checks']): string {
  return checks.map(({ check, why }) => `${check}: ${why ?? 'it fails'}`).join('; ')
}

/** `http://127.0.0.1:7373`: what listens everywhere listens here, too. */
function baseOf({ host, port }: Pick<ListenerOrder, 'host' | 'port'>): string {
  const here = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${here.includes(':') ? `[${here}]` : here}:${port}`
}

function readyOf(text: string): Ready | undefined {
  try {
    const ready = JSON.parse(text) as Partial<Ready> | null
    return Array.isArray(ready?.checks) ? (ready as Ready) : undefined
  } catch {
    return undefined
  }
}

/** Of a path that is posted to a GET is refused as such. */
async function isUnknown(response: Response): Promise<boolean> {
  await response.body?.cancel()
  return response.status === 404
}
