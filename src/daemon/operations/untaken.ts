import type { UntakenView } from '../../admin/views.ts'
import type { Clock } from '../../core/clock.ts'
import type { AgentEntry } from '../agents/agent-set.ts'
import { configStanding } from '../agents/config-standing.ts'

/** Agents that have not taken their configuration once every push is settled, or after `timeoutMs`. */
export async function untakenAfter(
  timeoutMs: number,
  entries: readonly AgentEntry[],
  clock: Clock,
): Promise<UntakenView[]> {
  const pushes = entries.flatMap(({ pool }) => pool.configPushes.at(-1)?.done ?? [])
  await new Promise<void>((resolve) => {
    const timer = clock.setTimer(timeoutMs, resolve)
    void Promise.all(pushes).then(() => {
      timer.cancel()
      resolve()
    })
  })
  return entries.flatMap((entry) => {
    const standing = configStanding(entry)
    if (standing.state === 'taken') return []
    return { agent: entry.config.name, state: standing.state, reason: standing.words }
  })
}
