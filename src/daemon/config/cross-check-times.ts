import type { OptionPath, Report } from './problem.ts'
import type { ConfigInput } from './schema.ts'

type AgentInput = NonNullable<ConfigInput['agents']>[string]
type Shared = NonNullable<ConfigInput['defaults']>

/** What counts where nothing is said, as the parts that use it have it. */
const DEFAULTS = {
  timeoutMs: 1000,
  reconnectInitialMs: 100,
  reconnectMaxMs: 2000,
  breakerOpenMs: 5000,
  breakerMaxOpenMs: 60_000,
  minInFlight: 50,
  maxInFlight: 10_000,
}

/** Two options of which the first must not be above the second. */
interface Pair {
  readonly low: readonly string[]
  readonly high: readonly string[]
  readonly lowValue: number | undefined
  readonly highValue: number
  /** Where equal values contradict each other too. */
  readonly isStrict?: boolean
  readonly why: string
}

/**
 * Least and most, and times within times, that contradict each other. What is preset for all counts where the agent says
 * nothing, but a preset hedge or wait that is longer than one agent's time is only idle there.
 */
export function checkAgentTimes(name: string, agent: AgentInput, shared: Shared, report: Report): void {
  const timeoutMs = agent.timeoutMs ?? shared.timeoutMs ?? DEFAULTS.timeoutMs
  checkPairs(['agents', name], agent, pairsOf(agent, shared, timeoutMs), report)
}

/** Of the presets by themselves; what agents make of them is reported there. */
export function checkPresetTimes(shared: Shared, report: Report): void {
  checkPairs(['defaults'], shared, pairsOf(shared, {}, shared.timeoutMs ?? Number.POSITIVE_INFINITY), report)
}

export function checkOverload({ overload }: ConfigInput, report: Report): void {
  if (overload === undefined) return
  const pair: Pair = {
    low: ['minInFlight'],
    high: ['maxInFlight'],
    lowValue: overload.minInFlight ?? DEFAULTS.minInFlight,
    highValue: overload.maxInFlight ?? DEFAULTS.maxInFlight,
    why: 'what is always allowed cannot be more than what is never exceeded',
  }
  checkPairs(['overload'], overload, [pair], report)
}

function pairsOf(agent: Shared, shared: Shared, timeoutMs: number): Pair[] {
  const pairs: Pair[] = [
    {
      low: ['reconnect', 'initialMs'],
      high: ['reconnect', 'maxMs'],
      lowValue: agent.reconnect?.initialMs ?? shared.reconnect?.initialMs ?? DEFAULTS.reconnectInitialMs,
      highValue: agent.reconnect?.maxMs ?? shared.reconnect?.maxMs ?? DEFAULTS.reconnectMaxMs,
      why: 'the first pause cannot be longer than the longest',
    },
    {
      low: ['breaker', 'openMs'],
      high: ['breaker', 'maxOpenMs'],
      lowValue: agent.breaker?.openMs ?? shared.breaker?.openMs ?? DEFAULTS.breakerOpenMs,
      highValue: agent.breaker?.maxOpenMs ?? shared.breaker?.maxOpenMs ?? DEFAULTS.breakerMaxOpenMs,
      why: 'the first pause cannot be longer than the longest',
    },
    {
      low: ['hedgeAfterMs'],
      high: ['timeoutMs'],
      lowValue: agent.hedgeAfterMs,
      highValue: timeoutMs,
      isStrict: true,
      why: 'the second connection would never be asked',
    },
  ]
  if ((agent.onPause ?? shared.onPause) === 'wait')
    pairs.push({
      low: ['flowWaitMs'],
      high: ['timeoutMs'],
      lowValue: agent.flowWaitMs,
      highValue: timeoutMs,
      why: 'the event would have failed before the wait is over',
    })
  return pairs
}

function checkPairs(path: OptionPath, written: object, pairs: readonly Pair[], report: Report): void {
  for (const { low, high, lowValue, highValue, isStrict, why } of pairs) {
    const isFine = lowValue === undefined || (isStrict ? lowValue < highValue : lowValue <= highValue)
    if (isFine) continue
    /* Reported where something was written: neither is, when both come from the presets. */
    const place = [low, high].find((option) => isWritten(written, option))
    if (place === undefined) continue
    const relation = lowValue === highValue ? 'is no less than' : 'is above'
    report(
      [...path, ...place],
      `${low.join('.')} (${lowValue}) ${relation} ${high.join('.')} (${highValue}): ${why}`,
    )
  }
}

function isWritten(value: object, option: readonly string[]): boolean {
  let at: unknown = value
  for (const step of option) at = (at as Record<string, unknown> | undefined)?.[step]
  return at !== undefined
}
