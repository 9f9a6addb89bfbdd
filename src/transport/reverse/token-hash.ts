import { createHash, timingSafeEqual } from 'node:crypto'

/** The form in which tokens are kept: SHA-256 of the UTF-8 text, lower-case hex. Tokens are long random values. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex')
}

/**
 * Whether a token is the one that was hashed. Takes the same time for every wrong token, an absent one included;
 * an empty token never matches.
 */
export function tokenMatches(token: string | undefined, sha256Hex: string): boolean {
  const expected = Buffer.from(sha256Hex, 'hex')
  const actual = createHash('sha256')
    .update(token ?? '', 'utf8')
    .digest()
  const isEqual = expected.length === actual.length && timingSafeEqual(actual, expected)
  return isEqual && token !== undefined && token !== ''
}
