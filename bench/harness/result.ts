/** One figure of a benchmark. A ratio compares two things measured interleaved in the same run. */
export interface Row {
  readonly name: string
  /** Ours over the other's; NaN when not run. */
  readonly ratio: number
  /** Smallest ratio that meets the goal; with `isCeiling`, the largest. */
  readonly goal: number
  readonly isCeiling?: boolean
  /** Never true when not run. */
  readonly ok: boolean
  /** Why the row has no figure, for example a toolchain that is absent. */
  readonly notRun?: string
  /** What the ratio was made from: events per second, milliseconds, bytes. */
  readonly detail?: Readonly<Record<string, number | string>>
}

export interface BenchResult {
  readonly bench: string
  readonly rows: readonly Row[]
  /** Raw histograms by name: [upper bound in microseconds, count] pairs. */
  readonly histograms?: Readonly<Record<string, readonly (readonly [number, number])[]>>
}

export interface BenchOptions {
  /** A smoke run: one short round, figures mean nothing. */
  readonly quick: boolean
}

export function row(
  name: string,
  ratio: number,
  goal: number,
  detail: Readonly<Record<string, number | string>> = {},
  isCeiling = false,
): Row {
  return { name, ratio, goal, isCeiling, ok: isCeiling ? ratio <= goal : ratio >= goal, detail }
}

export function notRun(name: string, goal: number, why: string): Row {
  return { name, ratio: Number.NaN, goal, ok: false, notRun: why }
}
