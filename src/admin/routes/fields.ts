import { WeirError } from '../../core/errors.ts'

const LONGEST_REASON = 500
const LONGEST_AUTHOR = 128
/** Ten years, milliseconds: beyond it nobody means a date. */
const LONGEST_BAN_MS = 315_576_000_000

/** The members of a body. @throws WeirError INVALID_ARGUMENT for a body that is no object, or an unknown member */
export function members(body: unknown, what: string, known: readonly string[]): Record<string, unknown> {
  if (body === undefined) return {}
  if (body === null || typeof body !== 'object' || Array.isArray(body))
    throw new WeirError('INVALID_ARGUMENT', `the body must be a JSON object; ${what} has ${known.join(', ')}`)
  /* A misspelt duration would make a ban permanent. */
  for (const name of Object.keys(body))
    if (!known.includes(name))
      throw new WeirError('INVALID_ARGUMENT', `${name}: unknown; ${what} has ${known.join(', ')}`)
  return body as Record<string, unknown>
}

/** @throws WeirError INVALID_ARGUMENT */
export function agentName(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw new WeirError('INVALID_ARGUMENT', 'agent: expected the name of an agent; example: {"agent":"waf"}')
}

/** @throws WeirError INVALID_ARGUMENT */
export function reasonText(value: unknown): string {
  return optionalText('reason', value, LONGEST_REASON) ?? ''
}

/** Who an operator says to be; `otherwise` when nothing is said. @throws WeirError INVALID_ARGUMENT */
export function authorName(value: unknown, otherwise: string): string {
  const author = optionalText('author', value, LONGEST_AUTHOR)
  return author === undefined || author === '' ? otherwise : author
}

/** @throws WeirError INVALID_ARGUMENT */
export function banDurationMs(value: unknown): number | undefined {
  if (value === undefined || (typeof value === 'number' && value > 0 && value <= LONGEST_BAN_MS)) return value
  throw new WeirError(
    'INVALID_ARGUMENT',
    `durationMs: expected a number of milliseconds above 0 and at most ${LONGEST_BAN_MS} (ten years), got ${JSON.stringify(value)}; leave it out for a ban without end; example: 60000`,
  )
}

/** A whole number of a query or body. @throws WeirError INVALID_ARGUMENT naming the field, its range and the value */
export function wholeNumber(
  name: string,
  value: string | number | null | undefined,
  range: { readonly least: number; readonly most: number; readonly otherwise: number },
): number {
  const { least, most, otherwise } = range
  if (value === null || value === undefined) return otherwise
  const number = value === '' ? Number.NaN : Number(value)
  if (Number.isInteger(number) && number >= least && number <= most) return number
  throw new WeirError(
    'INVALID_ARGUMENT',
    `${name}: expected a whole number from ${least} to ${most}, got "${value}"; example: ${otherwise}`,
  )
}

function optionalText(name: string, value: unknown, longest: number): string | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'string' && value.length <= longest && !hasControls(value)) return value
  throw new WeirError(
    'INVALID_ARGUMENT',
    `${name}: expected a text of at most ${longest} characters on one line`,
  )
}

/** Texts of operators end in logs and terminals. */
function hasControls(text: string): boolean {
  for (const character of text) if (character < ' ' || character === '\u007f') return true
  return false
}
