import type { Operations } from '../../admin/operations.ts'
import type { LimitKeyView, LimitView } from '../../admin/views.ts'
import type { BucketStanding, LimitStanding } from '../../proxy/limits/limit-inspection.ts'
import type { LimitKey } from '../../proxy/limits/limit-rule.ts'
import type { WeirSystem } from '../system.ts'
import { shownKey } from './shown-key.ts'

/** How rate limits stand: what memory does not know is read from the store. */
export function limitOperations(system: WeirSystem): Pick<Operations, 'limits' | 'limitKeys'> {
  const { agents, storage } = system
  const { inspection } = storage.limiter

  return {
    async limits(agent) {
      const names = agent === undefined ? [...agents.entries.keys()] : [agents.entry(agent).config.name]
      const views: LimitView[] = []
      for await (const [name, standings] of inspection.limitsOfAll(names))
        for (const standing of standings) views.push(limitView(name, standing))
      return views
    },

    async limitKeys(agent, { key, by, limit, isRevealed }) {
      agents.entry(agent)
      const { keys, isComplete } =
        key !== undefined
          ? { keys: await inspection.key(agent, key), isComplete: true }
          : by === 'denials'
            ? await inspection.mostDenied(agent, limit)
            : await inspection.lowest(agent, limit)
      return { agent, keys: keys.map((standing) => keyView(standing, isRevealed)), isComplete }
    },
  }
}

function limitView(agent: string, { rule, bucket, keys, denials, shadowDenials }: LimitStanding): LimitView {
  const { name, key, cost, ratePerSecond, burst, shadow } = rule
  return {
    agent,
    name,
    key: key.by === 'header' ? `header:${key.name}` : key.by,
    cost,
    ratePerSecond,
    burst,
    isShadow: shadow,
    remaining: bucket?.remaining,
    resetMs: bucket?.resetMs,
    keys,
    denials,
    shadowDenials,
  }
}

function keyView(standing: BucketStanding, isRevealed: boolean): LimitKeyView {
  const { rule, key, remaining, resetMs, denials, from } = standing
  return {
    limit: rule.name,
    key: shownKey(key, mayBeSecret(rule.key), isRevealed),
    remaining,
    burst: rule.burst,
    resetMs,
    denials,
    isShadow: rule.shadow,
    from,
  }
}

function mayBeSecret({ by }: LimitKey): boolean {
  return by === 'header' || by === 'session'
}
