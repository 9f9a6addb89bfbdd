import type { Place } from '../daemon/harness.ts'
import type { RunningProcess } from '../support/running-process.ts'

export interface CommandResult {
  readonly code: number | string
  /** Both streams. */
  readonly text: string
}

export async function finished(process: RunningProcess): Promise<CommandResult> {
  return { code: await process.ended(), text: process.output() }
}

/** Runs commands of `weir` against the daemon of a place. */
export function commandsOf(place: Place): (...args: string[]) => Promise<CommandResult> {
  return (...args) => finished(place.weir(...args, '-c', place.file))
}

export function parsed<T>({ text }: CommandResult): T {
  return JSON.parse(text) as T
}
