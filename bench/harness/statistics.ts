/** Middle of the values; the mean of the two middle ones for an even count; NaN when empty. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Smallest and largest, for the spread beside a median. */
export function spread(values: readonly number[]): readonly [number, number] {
  return [Math.min(...values), Math.max(...values)]
}

/**
 * Runs contestants in turn, round by round (A B C, B C A, ...), so that a change of the machine's speed meets
 * all of them, and returns each one's results in the order of the rounds.
 */
export async function interleave<T>(
  rounds: number,
  contestants: Readonly<Record<string, () => Promise<T>>>,
): Promise<Readonly<Record<string, readonly T[]>>> {
  const names = Object.keys(contestants)
  const results: Record<string, T[]> = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length]!
      results[name]!.push(await contestants[name]!())
    }
  }
  return results
}

/** Smallest and largest ratio of a round, for people. */
export function pairedRange(ours: readonly number[], theirs: readonly number[]): string {
  const [least, most] = spread(ours.map((value, round) => value / theirs[round]!))
  return `${least.toFixed(2)}..${most.toFixed(2)}`
}

/** Ratio round by round, then the median of those: both sides of each ratio saw the same machine. */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, round) => value / theirs[round]!))
}
