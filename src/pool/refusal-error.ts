import { type ErrorCode, WeirError } from '../core/errors.ts'
import type { Refusal } from './lease.ts'

const FACTS: Record<Refusal, readonly [ErrorCode, string]> = {
  unavailable: ['UNAVAILABLE', 'no live connection'],
  paused: ['PAUSED', 'every connection is paused by the agent'],
  full: ['OVERLOADED', 'every connection carries as many events as it may'],
  draining: ['DRAINING', 'its connections are being drained'],
  'breaker-open': ['UNAVAILABLE', 'it failed repeatedly, and its breaker is open'],
  'affinity-lost': ['AFFINITY_LOST', "the connection that has this request's earlier events is gone"],
}

/** A refusal as an error; nothing was sent. `more` ends the sentence. */
export function refusalError(agent: string, refusal: Refusal, more = ''): WeirError {
  const [code, sentence] = FACTS[refusal]
  return new WeirError(code, `agent ${agent}: ${sentence}${more}`, { sent: false })
}
