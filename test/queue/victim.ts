// A worker in a process of its own, to be killed in the middle of a look: says `looking` and never ends it.
import { bullmqQueue } from '../../src/queue/bullmq.ts'

const [url = '', registryId = ''] = process.argv.slice(2)
const queue = await bullmqQueue({ url, registryId, log: { warn: () => undefined } })
await queue.work(async (watch) => {
  process.stdout.write(`looking ${watch}\n`)
  return new Promise(() => undefined)
}, 1, new AbortController().signal)
