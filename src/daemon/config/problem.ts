/** One mistake in a configuration file, at the place where it was written. */
export interface Problem {
  readonly file: string
  /** From 1; 0 when the file as a whole is meant. */
  readonly line: number
  /** From 1; 0 when the file as a whole is meant. */
  readonly column: number
  /** The option, for example `agents.waf.timeoutMs`; empty for the whole file. */
  readonly option: string
  readonly message: string
}

/** `weir.yaml:12:7: agents.waf.timeoutMs: expected ...`, the form that editors turn into a link. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`
  return problem.option === ''
    ? `${place}: ${problem.message}`
    : `${place}: ${problem.option}: ${problem.message}`
}

/** Steps from the top of the document to a value. */
export type OptionPath = readonly (string | number)[]

/** `agents.waf.limit`, `routes[0].match`. */
export function optionName(path: OptionPath): string {
  let name = ''
  for (const step of path) {
    if (typeof step === 'number') name += `[${step}]`
    else name += name === '' ? step : `.${step}`
  }
  return name
}

/** Notes a problem at an option. `of: 'key'` points at its name instead of its value. */
export type Report = (path: OptionPath, message: string, of?: 'key') => void
