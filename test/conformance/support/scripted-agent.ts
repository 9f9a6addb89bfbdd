import {
  type AgentCapabilities,
  DEFAULT_FEATURES,
  DEFAULT_HEALTH_REPORTING,
  DEFAULT_LIMITS,
} from '../../../src/core/agent-messages.ts'
import type { WeirError } from '../../../src/core/errors.ts'
import { type AgentEvent, EVENT_KINDS } from '../../../src/core/event.ts'
import { plainAllow, reply } from '../../../src/core/reply.ts'
import type { AgentEndOptions, ProxyLink, ProxyLinkHandler } from '../../../src/transport/proxy-link.ts'

/** What an agent did and saw, with its behaviour to be set by the test. */
export class ScriptedAgent implements ProxyLinkHandler {
  readonly events: AgentEvent[] = []
  readonly cancels: string[] = []
  readonly configurations: { config: unknown; isInitial: boolean }[] = []
  readonly links: ProxyLink[] = []
  readonly closed: WeirError[] = []
  readonly malformed: string[] = []
  answer: (event: AgentEvent, link: ProxyLink) => void = (event, link) =>
    link.reply(plainAllow(event.correlationId))
  applyConfiguration: (config: unknown) => Promise<void> = async () => {}
  capabilities: AgentCapabilities = {
    protocolVersion: 2,
    agentId: 'waf',
    name: 'a test agent',
    version: '1.2.3',
    supportedEvents: EVENT_KINDS,
    features: { ...DEFAULT_FEATURES, cancellation: true, concurrentRequests: 64 },
    limits: DEFAULT_LIMITS,
    health: DEFAULT_HEALTH_REPORTING,
  }

  get options(): AgentEndOptions {
    return { capabilities: () => this.capabilities, handler: this, handshakeTimeoutMs: 5000 }
  }

  onEvent(event: AgentEvent, link: ProxyLink): void {
    this.events.push(event)
    this.answer(event, link)
  }

  onMalformedEvent(correlationId: string, _error: WeirError, link: ProxyLink): void {
    this.malformed.push(correlationId)
    link.reply(reply(correlationId, { kind: 'block', status: 500 }))
  }

  onCancel(correlationId: string, reason: string): void {
    this.cancels.push(`${correlationId} ${reason}`)
  }

  async onConfigure(config: unknown, _version: string | undefined, isInitial: boolean): Promise<void> {
    this.configurations.push({ config, isInitial })
    await this.applyConfiguration(config)
  }

  onOpen(link: ProxyLink): void {
    this.links.push(link)
  }

  onClosed(_link: ProxyLink, reason: WeirError): void {
    this.closed.push(reason)
  }
}
