import { type ErrorCode, WeirError } from '../core/errors.ts'
import type { Refusal } from './lease.ts'

const FACTS: Record<Refusal, readonly [ErrorCode, string]> = {
  unavailable: ['UNAVAILABLE', 'no live connection'],
  paused: ['PAUSED', 'every connection is paused by the agent'],
  full: ['OVERLOADED', 'every connection carries as many events as it may'],
  draining: ['DRAINING', 'the pool is draining'],
  'breaker-open': ['UNAVAILABLE', 'the circuit breaker is open'],
  'affinity-lost': ['AFFINITY_LOST', "the connection that has this request's earlier events is gone"],
}

/** A refusal as an error; nothing was sent. */
export function refusalError(agent: string, refusal: Refusal): WeirError {
  const [code, sentence] = FACTS[refusal]
  return new WeirError(code, `agent ${agent}: ${sentence}`, { sent: false })
}
