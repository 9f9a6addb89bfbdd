import { type DestinationStream, type Logger, pino } from 'pino'
import { type Clock, systemClock } from '../core/clock.ts'
import type { Probe, RequestFacts } from '../core/probe.ts'
import { type Random, systemRandom } from '../core/random.ts'
import { DialFailures } from './dial-failures.ts'
import { logDestination } from './log-destination.ts'

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** Share of plain allows that get an access line, 0 to 1. Denials, errors and bypasses always do. */
  readonly sampleAllows: number
  /** Where lines go. Default standard output, written without blocking. */
  readonly stream?: DestinationStream
  readonly random?: Random
  readonly clock?: Clock
}

/** Log lines: JSON, one per fact, level and sampling changeable while running. */
export interface Log {
  readonly probe: Probe
  /** For operators' actions: who asked for what, and what became of it. */
  audit(action: string, facts: Readonly<Record<string, unknown>>): void
  reconfigure(options: Pick<LogOptions, 'level' | 'sampleAllows'>): void
  /** Writes out what is buffered. Before the process ends. */
  flush(): void
}

/** Field names whose values never reach a line, at the top and one level down. */
const SECRET_FIELDS = ['authorization', 'cookie', 'token', 'authToken', 'password', 'secret', 'apiKey']

export function createLog(options: LogOptions): Log {
  const stream = options.stream ?? logDestination(1)
  const logger = pino(
    {
      level: options.level,
      base: null,
      formatters: { level: (level) => ({ level }) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]),
        censor: '(hidden)',
      },
    },
    stream,
  )
  const random = options.random ?? systemRandom
  let { sampleAllows } = options

  return {
    probe: logProbe(logger, () => sampleAllows, random, new DialFailures(options.clock ?? systemClock)),
    audit: (action, facts) => logger.info({ event: 'audit', action, ...facts }, `operator: ${action}`),
    reconfigure: (next) => {
      logger.level = next.level
      sampleAllows = next.sampleAllows
    },
    flush: () => flushQuietly(stream),
  }
}

function logProbe(logger: Logger, sampleAllows: () => number, random: Random, dials: DialFailures): Probe {
  return {
    requestDone(facts) {
      if (!logger.isLevelEnabled('info')) return
      const isPlain = facts.decision === 'allow' && facts.error === undefined && facts.bypassed.length === 0
      if (isPlain && !isSampled(sampleAllows(), random)) return
      logger.info(accessLine(facts), 'request')
    },
    agentCall(call) {
      if (logger.isLevelEnabled('debug')) logger.debug({ event: 'agent-call', ...call }, 'agent call')
    },
    connectionOpened(agent, connection, transport, peer) {
      dials.reached(agent)
      logger.info({ event: 'connection-opened', agent, connection, transport, peer }, `${agent} is connected`)
    },
    connectionClosed(agent, connection, reason) {
      logger.info({ event: 'connection-closed', agent, connection, reason }, `${agent} lost a connection`)
    },
    dialFailed(agent, endpoint, reason, retryInMs) {
      const failures = dials.heard(agent, reason)
      /* Each attempt by itself is for who looks closely. */
      logger[failures === 0 ? 'debug' : 'warn'](
        { event: 'dial-failed', agent, endpoint, reason, failures, retryInMs: Math.round(retryInMs) },
        `cannot reach ${agent} at ${endpoint}`,
      )
    },
    breakerChanged(agent, state) {
      logger.warn({ event: 'breaker', agent, state }, `the breaker of ${agent} is ${state}`)
    },
    agentLog(agent, level, message) {
      logger[level]({ event: 'agent-log', agent }, message)
    },
    notice(level, message, facts) {
      logger[level](facts ?? {}, message)
    },
  }
}

function accessLine(facts: RequestFacts): Record<string, unknown> {
  return { event: 'request', ...facts, durationMs: Math.round(facts.durationMs * 1000) / 1000 }
}

function isSampled(share: number, random: Random): boolean {
  return share >= 1 || (share > 0 && random() < share)
}

function flushQuietly(stream: DestinationStream & { flushSync?: () => void }): void {
  try {
    stream.flushSync?.()
  } catch {
    /* A destination that is not open yet, or is gone, has nothing to flush. */
  }
}
