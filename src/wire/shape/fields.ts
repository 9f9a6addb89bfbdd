import { WeirError } from '../../core/errors.ts'

/**
 * A struct as JSON or MessagePack decoded it: a string-keyed map, or an array of its members in declaration
 * order whose tail may be missing. Every reader below takes both.
 */
export type Struct = Readonly<Record<string, unknown>> | readonly unknown[]

/** Integers above this are not exact in JavaScript and are cut to it when written. */
const MAX_INTEGER = Number.MAX_SAFE_INTEGER

export function malformed(what: string, expected: string, found: unknown): WeirError {
  const shown = found === undefined ? 'nothing' : Array.isArray(found) ? 'an array' : typeof found
  return new WeirError(
    'PROTOCOL_ERROR',
    `${what}: expected ${expected}, found ${found === null ? 'null' : shown}`,
  )
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}

/** @throws WeirError PROTOCOL_ERROR when it is neither a map nor an array. */
export function struct(value: unknown, what: string): Struct {
  if (Array.isArray(value)) return value as readonly unknown[]
  if (isRecord(value)) return value
  throw malformed(what, 'an object', value)
}

/** A member by name, or by position in a positional struct; `index` -1: it has no position. */
export function member(of: Struct, name: string, index: number): unknown {
  if (Array.isArray(of)) return index < 0 ? undefined : (of as readonly unknown[])[index]
  return Object.hasOwn(of, name) ? (of as Readonly<Record<string, unknown>>)[name] : undefined
}

export function text(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8')
  throw malformed(what, 'a string', value)
}

export function optionalText(value: unknown, what: string): string | undefined {
  return value === undefined || value === null ? undefined : text(value, what)
}

export function textOr(value: unknown, fallback: string, what: string): string {
  return optionalText(value, what) ?? fallback
}

/** A whole number from 0 to `max`. */
export function count(value: unknown, what: string, max = Number.POSITIVE_INFINITY): number {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > max) {
    throw malformed(what, max === Number.POSITIVE_INFINITY ? 'a whole number' : `0 to ${max}`, value)
  }
  return number
}

export function optionalCount(value: unknown, what: string): number | undefined {
  return value === undefined || value === null ? undefined : count(value, what)
}

export function countOr(value: unknown, fallback: number, what: string): number {
  return optionalCount(value, what) ?? fallback
}

export function decimal(value: unknown, what: string): number {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'number') throw malformed(what, 'a number', value)
  return value
}

export function optionalDecimal(value: unknown, what: string): number | undefined {
  return value === undefined || value === null ? undefined : decimal(value, what)
}

export function flag(value: unknown, what: string): boolean {
  if (typeof value === 'boolean') return value
  throw malformed(what, 'true or false', value)
}

export function flagOr(value: unknown, fallback: boolean, what: string): boolean {
  return value === undefined || value === null ? fallback : flag(value, what)
}

/** Absent and null read as empty. */
export function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return value as readonly unknown[]
  throw malformed(what, 'an array', value)
}

export function textList(value: unknown, what: string): readonly string[] {
  return list(value, what).map((entry) => text(entry, what))
}

/** A map of strings; absent and null read as empty. */
export function textMap(value: unknown, what: string): Readonly<Record<string, string>> {
  const map: Record<string, string> = {}
  if (value === undefined || value === null) return map
  if (!isRecord(value)) throw malformed(what, 'an object', value)
  for (const key of Object.keys(value)) put(map, key, text(value[key], what))
  return map
}

/** Sets a member whatever its name, `__proto__` included. */
export function put<T>(into: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__') {
    Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true })
  } else into[key] = value
}

/** What a writer makes of a number that the wire holds as an unsigned integer. */
export function unsigned(value: number): number {
  if (!(value > 0)) return 0
  return value > MAX_INTEGER ? MAX_INTEGER : Math.trunc(value)
}

export function optionalUnsigned(value: number | undefined): number | null {
  return value === undefined ? null : unsigned(value)
}
