import type { WeirError } from '../../../src/core/errors.ts'
import { ByteWriter } from '../../../src/wire/byte-writer.ts'
import type { AgentMessageSink, ProxyMessageSink } from '../../../src/wire/codec.ts'

/** What a sink was told: the method's name and its arguments. */
export type Told = readonly [what: string, ...details: unknown[]]

export function recordingAgentSink(): { sink: AgentMessageSink; told: Told[] } {
  const told: Told[] = []
  const sink: AgentMessageSink = {
    onReply: (reply) => told.push(['reply', reply]),
    onMalformedReply: (id, error) => told.push(['malformed-reply', id, error]),
    onHandshakeResponse: (response) => told.push(['handshake-response', response]),
    onRegistration: (request) => told.push(['registration', request]),
    onHealth: (report) => told.push(['health', report]),
    onMetrics: (report) => told.push(['metrics', report]),
    onConfigUpdate: (request) => told.push(['config-update', request]),
    onFlow: (signal) => told.push(['flow', signal]),
    onLog: (message) => told.push(['log', message]),
    onPong: (sequence) => told.push(['pong', sequence]),
    onMalformedControl: (error: WeirError) => told.push(['malformed-control', error]),
  }
  return { sink, told }
}

/** Pings are recorded as the bytes of their echo. */
export function recordingProxySink(): { sink: ProxyMessageSink; told: Told[] } {
  const told: Told[] = []
  const sink: ProxyMessageSink = {
    onHandshake: (request) => told.push(['handshake', request]),
    onRegistrationResponse: (response) => told.push(['registration-response', response]),
    onEvent: (event) => told.push(['event', event]),
    onMalformedEvent: (id, error) => told.push(['malformed-event', id, error]),
    onCancel: (id, reason) => told.push(['cancel', id, reason]),
    onPing: (echo) => {
      const out = new ByteWriter()
      echo(out)
      told.push(['ping', Buffer.from(out.bytes.subarray(0, out.end)).toString('hex')])
    },
  }
  return { sink, told }
}
