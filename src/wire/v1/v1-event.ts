import type { AgentEvent, EventKind, WebSocketOpcode } from '../../core/event.ts'
import { plainEvent } from '../shape/plain-events.ts'

const TYPE_OF_EVENT: Readonly<Record<EventKind, string>> = {
  'request-headers': 'request_headers',
  'request-body-chunk': 'request_body_chunk',
  'response-headers': 'response_headers',
  'response-body-chunk': 'response_body_chunk',
  'request-complete': 'request_complete',
  'websocket-frame': 'websocket_frame',
  'guardrail-inspect': 'guardrail_inspect',
  configure: 'configure',
}

/** RFC 6455, section 5.2. */
const OPCODE_NUMBERS: Readonly<Record<WebSocketOpcode, number>> = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
}

/** The envelope around an event, with the members that readers of this framing know under other names. */
export function v1Envelope(event: AgentEvent, agentId: string): Record<string, unknown> {
  return { version: 2, event_type: TYPE_OF_EVENT[event.kind], payload: payloadOf(event, agentId) }
}

function payloadOf(event: AgentEvent, agentId: string): Record<string, unknown> {
  const plain = plainEvent(event)
  switch (event.kind) {
    case 'request-complete':
      return {
        ...plain,
        request_size: plain['request_body_size'],
        response_size: plain['response_body_size'],
      }
    case 'response-body-chunk':
      return { ...plain, bytes_received: plain['bytes_sent'] }
    case 'websocket-frame': {
      const direction = event.clientToServer ? 'client_to_server' : 'server_to_client'
      return { ...plain, opcode: OPCODE_NUMBERS[event.opcode], direction }
    }
    case 'configure':
      return { ...plain, agent_id: agentId }
    case 'request-headers':
    case 'request-body-chunk':
    case 'response-headers':
    case 'guardrail-inspect':
      return plain
  }
}
