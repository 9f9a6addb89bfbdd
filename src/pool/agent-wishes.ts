import type { ConfigUpdate, ConfigUpdateRequest } from '../core/agent-messages.ts'
import type { Probe } from '../core/probe.ts'
import type { LiveConnection } from './live-connection.ts'

const MAX_TEXT = 1024

/**
 * Answers what an agent asks of our configuration. A reload is accepted and surfaced; an agent cannot write
 * rules or lists here, nor restart us. Nothing of the request is kept, so ids of its choice cost nothing.
 */
export function answerConfigUpdate(
  live: LiveConnection,
  request: ConfigUpdateRequest,
  probe: Probe,
  onReloadRequested: ((agent: string) => void) | undefined,
): void {
  const { agent, connection } = live
  const refusal = refusalOf(request.update)
  const told = describe(request.update)
  const level = request.update.type === 'request-reload' ? 'info' : 'warn'
  probe.notice?.(level, `agent ${agent} ${told}`, { agent, connection: live.id })
  if (refusal === undefined) {
    onReloadRequested?.(agent)
    connection.answerConfigUpdate(request.requestId, true)
  } else connection.answerConfigUpdate(request.requestId, false, refusal)
}

function refusalOf(update: ConfigUpdate): string | undefined {
  switch (update.type) {
    case 'request-reload':
      return undefined
    case 'rule-update':
      return 'rule updates are not supported: rules belong to the configuration of the agent'
    case 'list-update':
      return 'list updates are not supported: lists belong to the configuration of the agent'
    case 'restart-required':
      return 'the proxy does not restart for an agent; its operator was told'
    case 'config-error':
      return 'the configuration stays as it is; its operator was told'
  }
}

function describe(update: ConfigUpdate): string {
  switch (update.type) {
    case 'request-reload':
      return 'asks to have its configuration read anew'
    case 'rule-update':
      return 'tried to change rules and was refused'
    case 'list-update':
      return 'tried to change a list and was refused'
    case 'restart-required':
      return `asks for a restart: ${update.reason.slice(0, MAX_TEXT)}`
    case 'config-error':
      return `reports an error in its configuration: ${update.error.slice(0, MAX_TEXT)}`
  }
}
