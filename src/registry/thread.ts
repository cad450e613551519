import { Worker } from 'node:worker_threads'
import { FAILURES, VarveError } from '../model/errors.ts'
import type { FailureCode } from '../model/errors.ts'
import { CACHE_KB } from './connection.ts'
import type { Connection, Values } from './connection.ts'
import { translate } from './failures.ts'
import type { Failure } from './failures.ts'

type Step =
  | { readonly step: 'all'; readonly text: string; readonly values: Values }
  | { readonly step: 'begin'; readonly durable: boolean }
  | { readonly step: 'open' | 'commit' | 'rollback' | 'close' }

/** What the connection's thread opens. */
export interface Source {
  readonly file: string
  readonly cacheKb: number
}

/** What it is told then. */
export type Order = Step & { readonly id: number }

/** What it answers: rows, or what went wrong. */
export type Answer =
  | { readonly id: number; readonly rows: readonly unknown[]; readonly failure?: undefined }
  | { readonly id: number; readonly failure: Failure & { readonly hint?: string | undefined } }

interface Waiting {
  resolve(rows: readonly unknown[]): void
  reject(error: unknown): void
}

/** Opens the file in a thread of its own, so that a long commit never blocks the event loop. */
export async function threaded(file: string, cacheKb = CACHE_KB): Promise<Connection> {
  // Compiled, the worker is a .js beside this file, as it is a .ts here.
  const worker = new Worker(new URL(import.meta.url.replace(/thread(\.[jt]s)$/, 'worker$1')), { workerData: { file, cacheKb } satisfies Source })
  const waiting = new Map<number, Waiting>()
  let last = 0
  let broken: unknown
  const ask = (step: Step): Promise<readonly unknown[]> => {
    if (broken !== undefined) return Promise.reject(broken)
    const id = ++last
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      worker.postMessage({ ...step, id } satisfies Order)
    })
  }
  const fail = (error: unknown): void => {
    broken ??= error
    for (const { reject } of waiting.values()) reject(broken)
    waiting.clear()
  }
  worker.on('message', (answer: Answer) => {
    const one = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (answer.failure === undefined) one?.resolve(answer.rows)
    else one?.reject(revive(answer.failure))
  })
  worker.on('error', (error) => fail(error))
  worker.on('exit', () => fail(new VarveError('REGISTRY_BUSY', 'the registry is closed')))
  const tell = async (step: Step): Promise<void> => void (await ask(step))
  const close = async (): Promise<void> => {
    try {
      if (broken === undefined) await tell({ step: 'close' })
    } finally {
      await worker.terminate()
    }
  }
  try {
    await tell({ step: 'open' })
  } catch (error) {
    await worker.terminate()
    throw error
  }
  return {
    all: (text, values) => ask({ step: 'all', text, values }),
    begin: (durable) => tell({ step: 'begin', durable }),
    commit: () => tell({ step: 'commit' }),
    rollback: () => tell({ step: 'rollback' }),
    close,
  }
}

function revive(failure: Failure & { readonly hint?: string | undefined }): unknown {
  const { message, code, hint } = failure
  if (code !== undefined && code in FAILURES) return new VarveError(code as FailureCode, message, hint === undefined ? {} : { hint })
  return translate(Object.assign(new Error(message), failure))
}
