// One task at a time, in the order in which they come.
import { parentPort } from 'node:worker_threads'
import type { Refused } from './disk.ts'
import { perform } from './local.ts'
import type { Task } from './local.ts'

let last: Promise<void> = Promise.resolve()

parentPort?.on('message', (task: Task) => {
  last = last.then(async () => {
    try {
      parentPort?.postMessage({ answer: await perform(task) })
    } catch (error) {
      // An error loses all but its message on the way between threads.
      const { code, message, syscall, path, place } = error as Refused
      parentPort?.postMessage({ failed: { code, message, syscall, path, place } })
    }
  })
})
