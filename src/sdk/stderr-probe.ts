import type { Probe } from '../core/probe.ts'

/** Where an agent's failures and lost connections show when the author gave no probe: one line each on stderr. */
export const stderrProbe: Probe = Object.freeze({
  notice(level: 'info' | 'warn' | 'error', message: string): void {
    if (level !== 'info') console.error(`weir agent ${level}: ${message}`)
  },
})
