// The far end of the pool: one task at a time, in the order in which they come.
import { parentPort } from 'node:worker_threads'
import { read } from './hash.ts'
import type { Answer, Task } from './pool.ts'
import { stand, walk, Waits } from './walk.ts'

parentPort?.on('message', (task: Task) => {
  try {
    if (task.kind === 'walk') {
      const result = walk(task)
      answer({ result }, [result.block])
    } else {
      const result = task.kind === 'read' ? read(task) : stand(task)
      answer({ result }, [result.numbers.buffer as ArrayBuffer, result.digests.buffer as ArrayBuffer])
    }
  } catch (error) {
    if (error instanceof Waits) return answer({ waits: error.mount }, [])
    // An error loses its code on the way between threads.
    const { code, message, path } = error as NodeJS.ErrnoException
    answer({ failed: { code, message, path: path ?? ('prefix' in task ? task.prefix : '') } }, [])
  }
})

function answer(message: Answer, transfer: readonly ArrayBuffer[]): void {
  parentPort?.postMessage(message, transfer)
}
