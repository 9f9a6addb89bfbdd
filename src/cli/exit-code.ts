import type { WeirError } from '../core/errors.ts'

/** What the exit code of every command means. */
export const EXIT = {
  ok: 0,
  /** The daemon, or the check, says no. */
  negative: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** No daemon answers at the admin address: nobody does, or something that is not Weir. */
  unreachable: 3,
} as const

export function exitCodeOf(error: WeirError): number {
  switch (error.code) {
    case 'INVALID_ARGUMENT':
      return EXIT.usage
    case 'UNAVAILABLE':
    case 'TIMEOUT':
    case 'CONNECTION_LOST':
    case 'PROTOCOL_ERROR':
      return EXIT.unreachable
    default:
      return EXIT.negative
  }
}
