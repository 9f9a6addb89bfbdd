import type { ConfigUpdateRequest } from '../core/agent-messages.ts'

/*
 * On gRPC an agent refuses a configuration by ending the stream, and with it whatever else the stream carries. Where
 * the proxy is ours and the connection already serves, the agent says so with an ordinary report and goes on with the
 * configuration it has. No other proxy is sent it.
 */

/** No agent's own request has this id. */
const REFUSAL_ID = 'weir-configure-refused'

export function refusalNotice(reason: string): ConfigUpdateRequest {
  return { requestId: REFUSAL_ID, timestampMs: 0, update: { type: 'config-error', error: reason } }
}

/** Why the oldest unacknowledged configuration was refused; undefined for a request of the agent itself. */
export function refusalReason({ requestId, update }: ConfigUpdateRequest): string | undefined {
  return requestId === REFUSAL_ID && update.type === 'config-error' ? update.error : undefined
}
