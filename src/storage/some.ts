/**
 * Asks for each of `items`, at most `most` at once; yields the answers in their order. `ask` is told to stop when one failed, when `signal` aborts, or when nobody reads on;
 * what the first failure threw is thrown.
 */
export async function* someAtOnce<T, R>(items: Iterable<T>, most: number, ask: (item: T, signal: AbortSignal) => Promise<R>, signal: AbortSignal): AsyncGenerator<R> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const asked: Promise<R>[] = []
  try {
    for (const item of items) {
      const answer = ask(item, either)
      answer.catch(() => undefined)
      if (asked.push(answer) >= most) yield (await asked.shift()) as R
    }
    for (const answer of asked) yield await answer
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    stop.abort()
  }
}

/** What all of `keys`, in path order, begin with. */
export function commonPrefix(keys: readonly string[]): string {
  const [first = '', last = ''] = [keys[0], keys.at(-1)]
  let length = 0
  while (length < first.length && first[length] === last[length]) length++
  // Half of a surrogate pair is no text.
  const shared = first.slice(0, length)
  return shared.isWellFormed() ? shared : shared.slice(0, -1)
}
