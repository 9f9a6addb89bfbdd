import { WeirError } from '../core/errors.ts'

/** RFC 9110 token. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/* Control characters would let an agent split a header; tab is the one that RFC 9110 allows. */
const UNSAFE_VALUE = /(?!\t)\p{Cc}/u

/** Returns the name in lower case. @throws WeirError INVALID_ARGUMENT */
export function requireHeaderName(name: string): string {
  if (typeof name !== 'string' || !NAME.test(name))
    throw new WeirError('INVALID_ARGUMENT', `${JSON.stringify(name)} is not a header name`)
  return name.toLowerCase()
}

/** @throws WeirError INVALID_ARGUMENT */
export function requireHeaderValue(name: string, value: string): string {
  if (typeof value !== 'string' || UNSAFE_VALUE.test(value))
    throw new WeirError('INVALID_ARGUMENT', `the value of ${name} is not a string that fits in one line`)
  return value
}

/** @throws WeirError INVALID_ARGUMENT */
export function requireStatus(status: number): number {
  if (!Number.isInteger(status) || status < 100 || status > 599)
    throw new WeirError('INVALID_ARGUMENT', `status is ${status}; use a whole number from 100 to 599`)
  return status
}
