import { WeirError } from '../core/errors.ts'
import type { LiveConnection } from './live-connection.ts'
import type { Incarnation } from './managed-pool.ts'

/** Connections that finish their work beside the admitted ones, as a multiple of the limit. */
const RETIRING_FACTOR = 1

/** Why an agent's connection cannot be taken now; undefined: it can. Only live connections take up places. */
export function adoptionRefusal(
  agent: string,
  limit: number,
  live: Iterable<LiveConnection>,
  incarnation: Incarnation | undefined,
): WeirError | undefined {
  let ready = 0
  let retiring = 0
  for (const one of live) {
    if (one.stage === 'retiring') retiring++
    else if (runsAhead(one, incarnation) > 0) {
      const { instance, epoch } = one.origin.incarnation!
      const newer = `run ${epoch} of instance ${instance} is connected already`
      return new WeirError('CONFLICT', `agent ${agent}: ${newer}`, { sent: false })
    } else if (runsAhead(one, incarnation) < 0) retiring++
    else ready++
  }
  if (ready < limit && retiring < limit * (1 + RETIRING_FACTOR)) return undefined
  const message = `agent ${agent}: ${ready} of ${limit} connections are open, ${retiring} are finishing`
  return new WeirError('OVERLOADED', message, { sent: false })
}

/** The connections in use of earlier runs of the same instance. */
export function olderRuns(
  live: Iterable<LiveConnection>,
  incarnation: Incarnation | undefined,
): LiveConnection[] {
  return Array.from(live).filter((one) => one.stage !== 'retiring' && runsAhead(one, incarnation) < 0)
}

/** Positive for a later run of the same instance, negative for an earlier one, 0 for anything else. */
function runsAhead({ origin }: LiveConnection, incarnation: Incarnation | undefined): number {
  const known = origin.incarnation
  if (known === undefined || known.instance !== incarnation?.instance) return 0
  return known.epoch - incarnation.epoch
}
