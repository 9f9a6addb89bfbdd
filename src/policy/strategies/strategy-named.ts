import type { Strategy, StrategyName } from '../picker.ts'
import { healthBased } from './health-based.ts'
import { leastInFlight } from './least-in-flight.ts'
import { p2c } from './p2c.ts'
import { random } from './random.ts'
import { ringHash } from './ring-hash.ts'
import { roundRobin } from './round-robin.ts'

const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = Object.freeze({
  'round-robin': roundRobin,
  'least-in-flight': leastInFlight,
  'health-based': healthBased,
  random,
  p2c,
  'ring-hash': ringHash,
})

/** The strategy of that name. Names come from `STRATEGY_NAMES`, so there is always one. */
export function strategyNamed(name: StrategyName): Strategy {
  return STRATEGIES[name]
}
