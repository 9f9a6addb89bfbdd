import { WeirError } from '../core/errors.ts'
import { isFieldValue } from '../core/header-field.ts'

/** RFC 9110 token. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Returns the name in lower case. @throws WeirError INVALID_ARGUMENT */
export function requireHeaderName(name: string): string {
  if (typeof name !== 'string' || !NAME.test(name))
    throw new WeirError('INVALID_ARGUMENT', `${JSON.stringify(name)} is not a header name`)
  return name.toLowerCase()
}

/** @throws WeirError INVALID_ARGUMENT */
export function requireHeaderValue(name: string, value: string): string {
  if (typeof value !== 'string' || !isFieldValue(value))
    throw new WeirError(
      'INVALID_ARGUMENT',
      `the value of ${name} is no string that a header can hold: one line, one byte per character (UTF-8 as Latin-1)`,
    )
  return value
}

/** @throws WeirError INVALID_ARGUMENT */
export function requireStatus(status: number): number {
  if (!Number.isInteger(status) || status < 100 || status > 599)
    throw new WeirError('INVALID_ARGUMENT', `status is ${status}; use a whole number from 100 to 599`)
  return status
}
