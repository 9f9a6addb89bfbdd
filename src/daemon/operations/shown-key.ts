import { createHash } from 'node:crypto'

/** Characters of a shortened key that are shown as they are. */
const SHOWN = 4
const HASH_DIGITS = 8

/**
 * A key that clients chose, for people. One that may be a credential (a session cookie, an API key) is cut to its
 * beginning and a piece of its SHA-256: enough to tell two apart and to find one again, not enough to use it.
 */
export function shownKey(key: string, isSecret: boolean, isRevealed: boolean): string {
  if (!isSecret || isRevealed || key === '') return key
  const hash = createHash('sha256').update(key).digest('hex').slice(0, HASH_DIGITS)
  return `${key.length > 2 * SHOWN ? key.slice(0, SHOWN) : ''}…#${hash}`
}
