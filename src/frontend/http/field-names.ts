/** What a header field is to a proxy. */
export type FieldRole =
  /** Passed on. */
  | 'end-to-end'
  /** Of this connection alone (RFC 9110 section 7.6.1), never passed on. */
  | 'hop-by-hop'
  | 'connection'
  | 'transfer-encoding'
  | 'content-length'
  | 'host'
  | 'expect'
  | 'upgrade'
  | 'forwarded'
  | 'x-forwarded-for'
  | 'x-forwarded-proto'
  | 'x-forwarded-host'
  | 'accept-encoding'
  /** Written by Weir itself; whatever arrives under these names is dropped. */
  | 'ours'

export interface FieldName {
  /** Lower case. */
  readonly name: string
  readonly role: FieldRole
}

export const CORRELATION_HEADER = 'x-weir-correlation-id'
export const BYPASS_HEADER = 'x-weir-bypass'

const ROLES = new Map<string, FieldRole>([
  ['connection', 'connection'],
  ['proxy-connection', 'hop-by-hop'],
  ['keep-alive', 'hop-by-hop'],
  ['te', 'hop-by-hop'],
  ['trailer', 'hop-by-hop'],
  ['proxy-authenticate', 'hop-by-hop'],
  ['proxy-authorization', 'hop-by-hop'],
  ['http2-settings', 'hop-by-hop'],
  ['transfer-encoding', 'transfer-encoding'],
  ['content-length', 'content-length'],
  ['host', 'host'],
  ['expect', 'expect'],
  ['upgrade', 'upgrade'],
  ['forwarded', 'forwarded'],
  ['x-forwarded-for', 'x-forwarded-for'],
  ['x-forwarded-proto', 'x-forwarded-proto'],
  ['x-forwarded-host', 'x-forwarded-host'],
  ['accept-encoding', 'accept-encoding'],
  [CORRELATION_HEADER, 'ours'],
  [BYPASS_HEADER, 'ours'],
])

/** Spellings seen so far. Bounded: names come from strangers. */
const MAX_SPELLINGS = 1024
const MAX_SPELLING_LENGTH = 64
const spellings = new Map<string, FieldName>()

/** A field name in any spelling, looked up: one hash instead of lower-casing and comparing each time. */
export function fieldName(spelling: string): FieldName {
  return spellings.get(spelling) ?? learn(spelling)
}

function learn(spelling: string): FieldName {
  const name = spelling.toLowerCase()
  const field: FieldName = { name, role: ROLES.get(name) ?? disguised(name) }
  if (spellings.size < MAX_SPELLINGS && spelling.length <= MAX_SPELLING_LENGTH) spellings.set(spelling, field)
  return field
}

/** Many servers read `_` as `-`, so `transfer_encoding` would speak to them with our voice. */
function disguised(name: string): FieldRole {
  return name.includes('_') && ROLES.has(name.replaceAll('_', '-')) ? 'hop-by-hop' : 'end-to-end'
}

/** Roles that a header operation of an agent may not touch: they belong to the framing or to Weir. */
export function isGuarded(role: FieldRole): boolean {
  return (
    role === 'connection' ||
    role === 'hop-by-hop' ||
    role === 'transfer-encoding' ||
    role === 'content-length' ||
    role === 'upgrade' ||
    role === 'expect' ||
    role === 'ours'
  )
}
