import { createHash } from 'node:crypto'
import { WeirError } from '../../core/errors.ts'
import { clientNetwork } from '../../policy/limits/client-network.ts'
import type { LimitRequest } from './limit-gate.ts'

/** What a limit counts apart. A request without the header or session shares the bucket of the others without. */
export type LimitKey =
  | { readonly by: 'agent' }
  | { readonly by: 'route' }
  | { readonly by: 'session' }
  | { readonly by: 'client'; readonly ipv4Bits: number; readonly ipv6Bits: number }
  /** A tenant is named by a header too. */
  | { readonly by: 'header'; readonly name: string }

export interface LimitRule {
  /** Names the limit in answers, headers, metrics and in the store: keep it and the spent tokens are kept. */
  readonly name: string
  readonly key: LimitKey
  /** Tokens per second; 0: the burst is all there ever is. */
  readonly ratePerSecond: number
  /** Tokens that can be taken at once after a rest. */
  readonly burst: number
  /** What one token pays for. */
  readonly cost: 'event' | 'byte'
  /** Counts what it would deny and denies nothing. */
  readonly shadow: boolean
}

/** Longest key taken as it is; a longer one (a header is the client's to choose) is replaced by its hash. */
const LONGEST_KEY = 128

/** Throws INVALID_ARGUMENT naming the place, the limit and the field. `isTaken`: its name is used already. */
export function validateRule(place: string, rule: LimitRule, isTaken: boolean): void {
  const where = `${place}: limit "${rule.name}"`
  if (isTaken) fail(`${where}: name is used twice; two limits of one name would share their tokens`)
  if (rule.name === '' || rule.name.includes('\n')) fail(`${where}: name must be one line, not empty`)
  if (!(rule.ratePerSecond >= 0 && Number.isFinite(rule.ratePerSecond)))
    fail(`${where}: ratePerSecond ${rule.ratePerSecond} must be a number >= 0`)
  if (!(rule.burst >= 1 && Number.isFinite(rule.burst)))
    fail(`${where}: burst ${rule.burst} must be a number >= 1, or nothing would ever pass`)
  if (rule.key.by !== 'client') return
  const { ipv4Bits, ipv6Bits } = rule.key
  if (!(Number.isInteger(ipv4Bits) && ipv4Bits >= 0 && ipv4Bits <= 32))
    fail(`${where}: ipv4Bits ${ipv4Bits} must be a whole number from 0 to 32`)
  if (!(Number.isInteger(ipv6Bits) && ipv6Bits >= 0 && ipv6Bits <= 128))
    fail(`${where}: ipv6Bits ${ipv6Bits} must be a whole number from 0 to 128`)
}

/** Same bucket, same rules: a reload need not touch it. */
export function isSameRule(one: LimitRule, other: LimitRule): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/** The part of the request that a limit counts apart; empty for `by: agent`. */
export function keyOf(key: LimitKey, request: LimitRequest): string {
  switch (key.by) {
    case 'agent':
      return ''
    case 'route':
      return request.routeName
    case 'session':
      return bounded(request.facts.sessionKey ?? '')
    case 'client':
      return bounded(clientNetwork(request.facts.clientIp, key.ipv4Bits, key.ipv6Bits))
    case 'header':
      return bounded(request.facts.header?.(key.name) ?? '')
  }
}

function bounded(value: string): string {
  if (value.length <= LONGEST_KEY) return value
  return `sha256:${createHash('sha256').update(value).digest('hex')}`
}

function fail(message: string): never {
  throw new WeirError('INVALID_ARGUMENT', message)
}
