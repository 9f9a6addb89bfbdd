import { WeirError } from '../core/errors.ts'

export function tooLarge(payload: number, maxPayloadBytes: number): WeirError {
  return new WeirError('TOO_LARGE', `message of ${payload} bytes: at most ${maxPayloadBytes} can be sent`, {
    sent: false,
  })
}

/** What any failure to encode becomes: nothing was sent, and the message, not the connection, is at fault. */
export function unwritable(thrown: unknown): WeirError {
  if (thrown instanceof WeirError && !thrown.sent) return thrown
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return new WeirError('INVALID_ARGUMENT', `the message cannot be encoded: ${reason}`, {
    sent: false,
    cause: thrown,
  })
}
