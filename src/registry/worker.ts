// The other side of thread.ts: one connection, driven by messages.
import { parentPort, workerData } from 'node:worker_threads'
import { SyncConnection } from './connection.ts'
import type { Failure } from './failures.ts'
import type { Answer, Order, Source } from './thread.ts'

const port = parentPort
if (port === null) throw new Error('worker.ts runs in a worker thread')

let connection: SyncConnection | undefined

port.on('message', (order: Order) => {
  try {
    port.postMessage({ id: order.id, rows: obey(order) } satisfies Answer)
  } catch (error) {
    const { message, errcode, code } = error as Failure
    // An error of Varve crosses whole, one of SQLite by what `translate` reads of it.
    const hint = (error as { hint?: string }).hint
    port.postMessage({ id: order.id, failure: { message, errcode, code, hint } } satisfies Answer)
  }
})

function obey(order: Order): readonly unknown[] {
  if (order.step === 'open') connection = open(workerData as Source)
  else if (connection === undefined) throw new Error('the connection was not opened')
  else if (order.step === 'all') return connection.all(order.text, order.values)
  else if (order.step === 'begin') connection.begin(order.durable)
  else connection[order.step]()
  return []
}

function open({ file, cacheKb }: Source): SyncConnection {
  const opened = new SyncConnection(file)
  opened.keep(cacheKb)
  return opened
}
