import type { Candidate, PickContext } from '../../src/policy/picker.ts'

/** A candidate whose facts a test may change. */
export interface OpenCandidate extends Candidate {
  isAvailable: boolean
  inFlight: number
  weight: number
  latencyMs: number
}

export function candidate(id: number, facts: Partial<Omit<OpenCandidate, 'id'>> = {}): OpenCandidate {
  return { id, isAvailable: true, inFlight: 0, weight: 1, latencyMs: 0, ...facts }
}

/** Candidates 1 to `count`, all available and idle. */
export function candidates(count: number, facts: Partial<Omit<OpenCandidate, 'id'>> = {}): OpenCandidate[] {
  return Array.from({ length: count }, (_, index) => candidate(index + 1, facts))
}

export function context(hashKey?: string, avoid = 0): PickContext {
  return { hashKey, avoid }
}

export const ANY = context()
