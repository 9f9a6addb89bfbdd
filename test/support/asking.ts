import type { WeirError } from '../../src/core/errors.ts'
import type { AgentEvent } from '../../src/core/event.ts'
import type { AgentReply } from '../../src/core/reply.ts'
import type {
  Connection,
  ConnectionObserver,
  HandshakeOptions,
  PendingReply,
} from '../../src/transport/connection.ts'

export const HANDSHAKE: HandshakeOptions = {
  proxyId: 'weir',
  proxyVersion: '0.1.0',
  connectTimeoutMs: 5000,
  configTimeoutMs: 5000,
}

/** Sends one event and resolves with its reply; rejects when the connection is lost. */
export function ask(connection: Connection, event: AgentEvent): Promise<AgentReply> {
  return new Promise((resolve, reject) => {
    const pending: PendingReply = {
      correlationId: event.correlationId,
      nextSameId: null,
      onReply: resolve,
      onLost: reject,
    }
    connection.send(event, pending)
  })
}

/** Notes everything a connection tells its owner, as `[kind, message]`. */
export function watch(connection: Connection): [kind: string, message: unknown][] {
  const told: [string, unknown][] = []
  const note =
    (kind: string) =>
    (message?: unknown): void =>
      void told.push([kind, message])
  const observer: ConnectionObserver = {
    onClosed: (reason: WeirError) => void told.push(['closed', reason]),
    onRetiring: note('retiring'),
    onHealth: note('health'),
    onFlow: note('flow'),
    onMetrics: note('metrics'),
    onLog: note('log'),
    onConfigUpdate: note('config-update'),
    onStrayReply: note('stray'),
    onWritable: note('writable'),
  }
  connection.observe(observer)
  return told
}
