import type { Probe } from '../core/probe.ts'

const MEMBERS = [
  'agentCall',
  'bypass',
  'connectionOpened',
  'connectionClosed',
  'dialFailed',
  'breakerChanged',
  'strayReply',
  'agentLog',
  'requestDone',
  'notice',
] as const satisfies readonly (keyof Probe)[]

/* The widest member takes four arguments; fixed parameters keep the hot path free of argument arrays. */
type Listener = (a: unknown, b: unknown, c: unknown, d: unknown) => void

/**
 * One probe that tells several. A member exists only when some probe has it, so unobserved facts still cost one
 * property read. A probe that throws is passed to `onError` and never disturbs what it watches.
 */
export function fanOut(probes: readonly Probe[], onError: (error: unknown) => void): Probe {
  const combined: Record<string, Listener> = {}
  for (const member of MEMBERS) {
    const listeners: Listener[] = []
    for (const probe of probes) {
      const method = probe[member] as Listener | undefined
      if (method !== undefined) listeners.push(method.bind(probe))
    }
    if (listeners.length === 0) continue
    combined[member] = (a, b, c, d) => {
      for (const listener of listeners) {
        try {
          listener(a, b, c, d)
        } catch (error) {
          onError(error)
        }
      }
    }
  }
  return combined
}
