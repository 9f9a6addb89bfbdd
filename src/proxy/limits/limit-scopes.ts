import type { LimitScope } from './cached-bucket.ts'
import { isSameRule, type LimitRule, validateRule } from './limit-rule.ts'

export interface LimitPlan {
  /** An agent without an entry has no limit, nor has one with an empty list. */
  readonly agents: ReadonlyMap<string, readonly LimitRule[]>
}

const NONE: readonly LimitScope[] = []

/** Which limits an agent has. */
export class LimitScopes {
  #agents = new Map<string, readonly LimitScope[]>()

  /** In the order in which they are checked. */
  of(agent: string): readonly LimitScope[] {
    return this.#agents.get(agent) ?? NONE
  }

  /** Every limit there is. */
  *[Symbol.iterator](): IterableIterator<LimitScope> {
    for (const scopes of this.#agents.values()) yield* scopes
  }

  /**
   * Puts a plan in force and returns the scopes that are not part of it any more. A limit that stays as it was keeps
   * its scope. Throws INVALID_ARGUMENT naming the field, and then changes nothing.
   */
  replace(plan: LimitPlan): readonly LimitScope[] {
    for (const [agent, rules] of plan.agents) validateRules(`agents.${agent}`, rules)
    /* By name, which is one of a kind within an agent: a search through all would hold thousands of agents up. */
    const old = new Map(Array.from(this, (scope) => [nameOf(scope), scope]))
    const scopeOf = (agent: string, rule: LimitRule): LimitScope => {
      const name = nameOf({ agent, rule })
      const before = old.get(name)
      if (before !== undefined && isSameRule(before.rule, rule)) {
        old.delete(name)
        return before
      }
      const counts = before?.counts ?? { enforced: 0, shadow: 0 }
      return { agent, rule, isPerByte: rule.cost === 'byte', buckets: new Map(), counts }
    }
    this.#agents = new Map(
      [...plan.agents].map(([agent, rules]) => [agent, rules.map((rule) => scopeOf(agent, rule))]),
    )
    return [...old.values()]
  }
}

function nameOf({ agent, rule }: Pick<LimitScope, 'agent' | 'rule'>): string {
  return `${agent}\n${rule.name}`
}

function validateRules(where: string, rules: readonly LimitRule[]): void {
  const names = new Set<string>()
  for (const rule of rules) {
    validateRule(where, rule, names.has(rule.name))
    names.add(rule.name)
  }
}
