import type { ConfigUpdate, ConfigUpdateRequest } from '../core/agent-messages.ts'
import type { Clock } from '../core/clock.ts'
import type { Probe } from '../core/probe.ts'
import type { LiveConnection } from './live-connection.ts'

const MAX_TEXT = 1024
/** Reloads that one agent may cause, at most one in this many milliseconds: each reads files and sends to agents. */
const RELOAD_EVERY_MS = 1000

/**
 * What an agent asks of our configuration. A reload is granted: the configuration is read anew, and the asking
 * connection is sent what is in force, which is the only answer that the wire has. Everything else is refused, and
 * refusals have no frame on any transport, so operators are told instead: an agent cannot write rules or lists here,
 * nor restart us. Nothing of a request is kept, so ids of its choice cost nothing.
 */
export class AgentWishes {
  readonly #clock: Clock
  readonly #probe: Probe
  readonly #onReloadRequested: ((agent: string) => void) | undefined
  readonly #resend: (live: LiveConnection) => void
  #reloadedAt = Number.NEGATIVE_INFINITY

  /** `resend` sends the configuration in force to a connection, when there is one and the agent can take it. */
  constructor(
    clock: Clock,
    probe: Probe,
    onReloadRequested: ((agent: string) => void) | undefined,
    resend: (live: LiveConnection) => void,
  ) {
    this.#clock = clock
    this.#probe = probe
    this.#onReloadRequested = onReloadRequested
    this.#resend = resend
  }

  hear(live: LiveConnection, { update }: ConfigUpdateRequest): void {
    const isReload = update.type === 'request-reload'
    if (isReload && !this.#mayReload()) return
    const { agent, id } = live
    this.#probe.notice?.(isReload ? 'info' : 'warn', `agent ${agent} ${described(update)}`, {
      agent,
      connection: id,
    })
    if (!isReload) return
    this.#onReloadRequested?.(agent)
    this.#resend(live)
  }

  #mayReload(): boolean {
    const now = this.#clock.now()
    if (now - this.#reloadedAt < RELOAD_EVERY_MS) return false
    this.#reloadedAt = now
    return true
  }
}

function described(update: ConfigUpdate): string {
  switch (update.type) {
    case 'request-reload':
      return 'asks to have its configuration read anew'
    case 'rule-update':
      return 'tried to change rules and was refused: they belong to its own configuration'
    case 'list-update':
      return 'tried to change a list and was refused: lists belong to its own configuration'
    case 'restart-required':
      return `asks for a restart, which is for operators to do: ${update.reason.slice(0, MAX_TEXT)}`
    case 'config-error':
      return `reports an error in its configuration, which stays as it is: ${update.error.slice(0, MAX_TEXT)}`
  }
}
