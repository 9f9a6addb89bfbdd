/** Few enough that a collection falls into few of the measured attempts. */
const ROUNDS = 100
const ATTEMPTS = 201
const WARM_UP = 20_000
/** On a busy machine the compiler comes late: so often it gets another chance. */
const MAX_TRIES = 15

/**
 * Bytes of heap that one round takes once the compiler has done what it does, or what is enough to know: at most
 * `bound`. Each try is the median of many short attempts; those in which the collector or the compiler worked lie
 * far off on either side and do not move it. An object that every round builds is in every try.
 */
export function bytesPerRound(turn: (rounds: number) => void, bound: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < MAX_TRIES && least > bound; attempt++) {
    turn(WARM_UP)
    const some = median(() => turn(ROUNDS))
    least = Math.min(least, (some - median(() => undefined)) / ROUNDS)
  }
  return least
}

function median(work: () => void): number {
  const grown: number[] = []
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = process.memoryUsage().heapUsed
    work()
    grown.push(process.memoryUsage().heapUsed - before)
  }
  return grown.sort((a, b) => a - b)[ATTEMPTS >> 1]!
}
