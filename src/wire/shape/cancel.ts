import { CANCEL_REASONS, type CancelReason } from '../../core/agent-messages.ts'
import * as field from './fields.ts'

export interface Cancel {
  readonly correlationId: string
  readonly reason: CancelReason
}

/** Reasons count from 0 here; an object tagged with `type` is taken too. Unknown reasons become `manual`. */
export function cancel(value: unknown): Cancel {
  const of = field.struct(value, 'cancel')
  const reason = field.member(of, 'reason', 1)
  return {
    correlationId: field.text(field.member(of, 'correlation_id', 0), 'cancel.correlation_id'),
    reason: cancelReason(field.isRecord(reason) ? reason['type'] : reason),
  }
}

function cancelReason(value: unknown): CancelReason {
  if (typeof value === 'number') return CANCEL_REASONS[value] ?? 'manual'
  const name = typeof value === 'string' ? value.replaceAll('_', '-') : ''
  return CANCEL_REASONS.find((reason) => reason === name) ?? 'manual'
}
