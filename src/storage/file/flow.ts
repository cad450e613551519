/**
 * Runs the works that `next` starts, at most `most` of them going on or done and not yet taken, and yields their results as they are done.
 * Ends when none is going on and `next` starts none. Throws what a work threw, or the reason of `signal`.
 */
export async function* flow<T extends object>(next: () => Promise<T> | undefined, most: number, signal: AbortSignal): AsyncGenerator<T> {
  const done: T[] = []
  let running = 0
  let failure: { readonly error: unknown } | undefined
  let ended = false
  let wake = (): void => undefined
  const fill = (): void => {
    while (!ended && failure === undefined && !signal.aborted && running + done.length < most) {
      const work = next()
      if (work === undefined) return
      running++
      work.then(
        (result) => {
          running--
          done.push(result)
          fill()
          wake()
        },
        (error: unknown) => {
          running--
          failure ??= { error }
          wake()
        },
      )
    }
  }
  const abort = (): void => wake()
  signal.addEventListener('abort', abort)
  try {
    for (;;) {
      fill()
      signal.throwIfAborted()
      if (failure !== undefined) throw failure.error
      const result = done.shift()
      if (result !== undefined) yield result
      else if (running === 0) return
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    ended = true
    signal.removeEventListener('abort', abort)
  }
}
