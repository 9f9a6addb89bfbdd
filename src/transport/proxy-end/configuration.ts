import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentReply, Decision } from '../../core/reply.ts'
import type { PendingReply } from '../connection.ts'
import type { MuxConnection } from './mux-connection.ts'

export interface Configuration {
  readonly config: unknown
  readonly version: string | undefined
  readonly isInitial: boolean
  readonly timeoutMs: number
  /** How the wire acknowledges: by a reply, or by the pong of a ping sent behind it. */
  readonly ack: 'reply' | 'pong'
}

let sequence = 0

/** Delivers a configuration and waits for its acknowledgement. See `Connection.configure` for the errors. */
export function pushConfiguration(
  connection: MuxConnection,
  configuration: Configuration,
  clock: Clock,
): Promise<void> {
  const correlationId = `weir-configure-${++sequence}`
  return configuration.ack === 'reply'
    ? awaitReply(connection, configuration, correlationId, clock)
    : awaitPong(connection, configuration, correlationId)
}

function eventOf({ config, version, isInitial }: Configuration, correlationId: string) {
  return { kind: 'configure', correlationId, config, configVersion: version, isInitial } as const
}

function awaitReply(
  connection: MuxConnection,
  configuration: Configuration,
  correlationId: string,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const pending: PendingReply = {
      correlationId,
      nextSameId: null,
      onReply(reply: AgentReply): void {
        timer.cancel()
        if (reply.decision.kind === 'allow') resolve()
        else reject(refusal(connection.peer, reasonOf(reply.decision)))
      },
      onLost(error: WeirError): void {
        timer.cancel()
        reject(error)
      },
    }
    connection.send(eventOf(configuration, correlationId), pending)
    const { timeoutMs } = configuration
    const timer = clock.setTimer(timeoutMs, () => {
      connection.abandon(pending)
      reject(unacknowledged(connection.peer, timeoutMs))
    })
  })
}

async function awaitPong(
  connection: MuxConnection,
  configuration: Configuration,
  correlationId: string,
): Promise<void> {
  connection.refusable ??= []
  const { refusable } = connection
  let refuse!: (reason: string) => void
  const refused = new Promise<string>((resolve) => {
    refuse = resolve
  })
  connection.write((codec, out) => codec.writeEvent(eventOf(configuration, correlationId), out))
  refusable.push(refuse)
  try {
    const reason = await Promise.race([connection.ping(configuration.timeoutMs), refused])
    if (typeof reason === 'string') throw refusal(connection.peer, reason)
  } catch (error) {
    if (connection.hasPeerEnded) throw refusal(connection.peer, connection.closedBy?.message ?? '')
    if (connection.isClosed || WeirError.from(error).code !== 'TIMEOUT') throw error
    throw unacknowledged(connection.peer, configuration.timeoutMs)
  } finally {
    const at = refusable.indexOf(refuse)
    if (at >= 0) refusable.splice(at, 1)
  }
}

function reasonOf(decision: Decision): string {
  if (decision.kind !== 'block') return `it answered with a ${decision.kind}`
  return decision.body ?? `it answered with status ${decision.status}`
}

function refusal(peer: string, reason: string): WeirError {
  return new WeirError('PERMISSION_DENIED', `${peer} refused its configuration: ${reason}`)
}

function unacknowledged(peer: string, timeoutMs: number): WeirError {
  return new WeirError('TIMEOUT', `${peer} did not acknowledge its configuration within ${timeoutMs} ms`)
}
