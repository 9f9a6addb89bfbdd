import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { EventKind } from '../../core/event.ts'
import type { HttpFrontendOptions } from '../../frontend/http/options.ts'
import type { Address, BindAddress, Endpoint } from './addresses.ts'
import type { EventName } from './agent-schema.ts'
import type { AgentConfig, AgentOrigin, Config, ReverseListenConfig, RouteConfig } from './config.ts'
import type { OptionPath, Report } from './problem.ts'
import { defined, limitRule, limitsOf, overloadLimit, sessionSource } from './resolve-parts.ts'
import type { ConfigInput } from './schema.ts'

type AgentInput = NonNullable<ConfigInput['agents']>[string]

const EVENT_KIND: Readonly<Record<EventName, EventKind>> = {
  'request-headers': 'request-headers',
  'request-body': 'request-body-chunk',
  'response-headers': 'response-headers',
  'response-body': 'response-body-chunk',
  'request-complete': 'request-complete',
  'websocket-frame': 'websocket-frame',
  'guardrail-inspect': 'guardrail-inspect',
}

/**
 * Fills in defaults (agent, then `defaults`, then built in), makes paths absolute and reads certificate files.
 * A file that cannot be read is reported. The result is deeply frozen.
 */
export function resolveConfig(
  input: ConfigInput,
  file: string,
  folder: string,
  referencedFiles: readonly string[],
  report: Report,
): Config {
  const files = [file, ...referencedFiles]

  function pem(path: string | undefined, option: OptionPath): string | undefined {
    if (path === undefined) return undefined
    const full = resolve(folder, path)
    try {
      const text = readFileSync(full, 'utf8')
      files.push(full)
      if (!text.includes('-----BEGIN')) report(option, `${full} is not a PEM file`)
      return text
    } catch (error) {
      report(option, `cannot read ${full}: ${(error as Error).message}`)
      return undefined
    }
  }

  function place<T extends BindAddress | Endpoint>(address: T): T {
    return 'path' in address ? { ...address, path: resolve(folder, address.path) } : address
  }
  const listener = (address: Address | undefined): Address | undefined => address && place(address)

  const reverse = (input.listen.reverse ?? []).map((entry, index): ReverseListenConfig => {
    const path = ['listen', 'reverse', index]
    if (!('address' in entry))
      return { address: place(entry), cert: undefined, key: undefined, clientCa: undefined }
    return {
      address: place(entry.address),
      cert: pem(entry.cert, [...path, 'cert']),
      key: pem(entry.key, [...path, 'key']),
      clientCa: pem(entry.clientCa, [...path, 'clientCa']),
    }
  })

  function origin(name: string, agent: AgentInput): AgentOrigin {
    const path = ['agents', name, 'tls']
    if (agent.endpoint !== undefined)
      return {
        kind: 'dialed',
        endpoint: place(agent.endpoint),
        tls: agent.tls && {
          ca: pem(agent.tls.ca, [...path, 'ca']),
          cert: pem(agent.tls.cert, [...path, 'cert']),
          key: pem(agent.tls.key, [...path, 'key']),
          insecureSkipVerify: agent.tls.insecureSkipVerify ?? false,
        },
        encodings: agent.encodings ?? ['msgpack', 'json'],
        implementation: agent.implementation ?? 'http2',
      }
    const { tokenSha256, tokenSha256s, clientCertificateSan, maxConnections } = agent.reverse ?? {}
    return {
      kind: 'reverse',
      tokenSha256s: tokenSha256s ?? (tokenSha256 === undefined ? [] : [tokenSha256]),
      clientCertificateSan,
      maxConnections: maxConnections ?? 4,
    }
  }

  function agentConfig(name: string, agent: AgentInput): AgentConfig {
    const shared = input.defaults ?? {}
    const timeoutMs = agent.timeoutMs ?? shared.timeoutMs ?? 1000
    const maxTimeoutMultiplier = agent.maxTimeoutMultiplier ?? shared.maxTimeoutMultiplier ?? 2
    return {
      name,
      origin: origin(name, agent),
      events: (agent.events ?? shared.events ?? ['request-headers']).map((event) => EVENT_KIND[event]),
      connections: agent.connections ?? shared.connections ?? 4,
      balance: agent.balance ?? shared.balance ?? 'round-robin',
      timeoutMs,
      maxTimeoutMultiplier,
      connectTimeoutMs: agent.connectTimeoutMs ?? shared.connectTimeoutMs ?? 5000,
      onFailure: agent.onFailure ?? shared.onFailure ?? 'closed',
      onPause: agent.onPause ?? shared.onPause ?? 'closed',
      hedgeAfterMs: agent.hedgeAfterMs ?? shared.hedgeAfterMs,
      flowWaitMs: agent.flowWaitMs ?? shared.flowWaitMs ?? 100,
      maxConcurrentPerConnection:
        agent.maxConcurrentPerConnection ?? shared.maxConcurrentPerConnection ?? 100,
      maxBurst: agent.maxBurst ?? shared.maxBurst ?? 32,
      maxWaiters: agent.queue?.maxWaiters ?? shared.queue?.maxWaiters ?? 1000,
      breaker: defined({ ...shared.breaker, ...agent.breaker }),
      reconnect: defined({ ...shared.reconnect, ...agent.reconnect }),
      sessions: {
        idleTtlMs: boundless(agent.sessions?.idleTtlMs ?? shared.sessions?.idleTtlMs ?? 300_000),
        maxSessions: agent.sessions?.maxSessions ?? shared.sessions?.maxSessions ?? 100_000,
      },
      slowStartMs: agent.slowStartMs ?? shared.slowStartMs ?? 10_000,
      heartbeatMs: agent.heartbeatMs ?? shared.heartbeatMs ?? 10_000,
      /* An agent that may take a minute for each event is not stuck after ten seconds. */
      stallMs:
        agent.stallMs ?? shared.stallMs ?? Math.max(LEAST_STALL_MS, 2 * timeoutMs * maxTimeoutMultiplier),
      maxConnectionAgeMs: agent.maxConnectionAgeMs ?? shared.maxConnectionAgeMs ?? Number.POSITIVE_INFINITY,
      maxConnectionUses: agent.maxConnectionUses ?? shared.maxConnectionUses ?? Number.POSITIVE_INFINITY,
      maxEjectedShare: agent.maxEjectedShare ?? shared.maxEjectedShare ?? 0.5,
      body: {
        mode: agent.body?.mode ?? shared.body?.mode ?? 'stream',
        maxBytes: agent.body?.maxBytes ?? shared.body?.maxBytes ?? 1_048_576,
        onTooLarge: agent.body?.onTooLarge ?? shared.body?.onTooLarge ?? 'reject',
        aheadBytes: agent.body?.aheadBytes ?? shared.body?.aheadBytes ?? 262_144,
      },
      limits: limitsOf(agent, shared).map(limitRule),
      onLimit: agent.onLimit ?? shared.onLimit ?? 'deny',
      config: agent.config,
    }
  }

  const { admin } = input.listen
  return deepFreeze({
    file,
    listen: {
      http: listener(input.listen.http),
      grpc: listener(input.listen.grpc),
      socket: listener(input.listen.socket),
      reverse,
      admin: listener(admin && 'address' in admin ? admin.address : admin),
      socketMode: input.listen.socketMode === '0660' ? 0o660 : 0o600,
    },
    http: defined(input.http ?? {}) as HttpFrontendOptions,
    storage: {
      path: resolve(folder, input.storage?.path ?? 'weir.db'),
      maxBuckets: input.storage?.maxBuckets ?? 100_000,
      onFailure: input.storage?.onFailure ?? 'memory-only',
      batches: input.storage?.batches ?? 'adaptive',
    },
    agents: Object.entries(input.agents ?? {}).map(([name, agent]) => agentConfig(name, agent)),
    routes: (input.routes ?? []).map(routeConfig),
    drainTimeoutMs: input.drainTimeoutMs ?? 30_000,
    drainDelayMs: input.drainDelayMs ?? 0,
    sessionKey: input.sessionKey === undefined ? undefined : sessionSource(input.sessionKey),
    maxOpenRequests: input.maxOpenRequests ?? 10_000,
    overload: input.overload && overloadLimit(input.overload),
    log: { level: input.log?.level ?? 'info', sampleAllows: input.log?.sampleAllows ?? 1 },
    files,
  })
}

/** What a stall is for agents of ordinary timeouts, milliseconds. */
const LEAST_STALL_MS = 10_000

/** 0 stands for no bound. */
function boundless(value: number): number {
  return value === 0 ? Number.POSITIVE_INFINITY : value
}

function routeConfig(route: NonNullable<ConfigInput['routes']>[number]): RouteConfig {
  return {
    name: route.name ?? `${route.match.host ?? ''}${route.match.path}`,
    host: route.match.host?.toLowerCase(),
    path: route.match.path,
    upstream: route.upstream?.replace(/\/$/, ''),
    agents: route.agents,
    parallel: route.parallel ?? false,
  }
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === 'object' && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const item of Object.values(value)) deepFreeze(item)
  }
  return value
}
