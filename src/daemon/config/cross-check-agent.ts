import { resolve } from 'node:path'
import { MAX_SOCKET_PATH_BYTES } from './addresses.ts'
import type { OptionPath, Report } from './problem.ts'
import type { ConfigInput } from './schema.ts'

type AgentInput = NonNullable<ConfigInput['agents']>[string]

/** Options that contradict each other or could have no effect on this agent. */
export function checkAgent(
  name: string,
  agent: AgentInput,
  input: ConfigInput,
  folder: string,
  report: Report,
): void {
  const path = ['agents', name]
  const { endpoint, reverse } = agent
  const idle = (option: string, why: string): void =>
    report([...path, ...option.split('.')], `has no effect: ${why}; remove it`, 'key')

  if (endpoint === undefined && reverse === undefined)
    report(path, 'has neither endpoint nor reverse; example: endpoint: grpc://127.0.0.1:50061', 'key')
  if (endpoint !== undefined && reverse !== undefined)
    report(path, 'has both endpoint and reverse; an agent is dialed or dials in, not both', 'key')

  if (endpoint !== undefined && endpoint.kind !== 'grpc') {
    const full = resolve(folder, endpoint.path)
    if (Buffer.byteLength(full) > MAX_SOCKET_PATH_BYTES)
      report([...path, 'endpoint'], `the socket path ${full} is longer than ${MAX_SOCKET_PATH_BYTES} bytes`)
    if (agent.implementation !== undefined) idle('implementation', 'it chooses what carries gRPC')
  }
  if (endpoint?.kind === 'grpc' && agent.encodings !== undefined)
    idle('encodings', 'gRPC has one encoding; it is for Unix sockets')
  if (agent.tls !== undefined) {
    if (endpoint?.kind !== 'grpc' || endpoint.security === 'plaintext')
      idle('tls', 'only grpcs:// endpoints use TLS')
    if ((agent.tls.cert === undefined) !== (agent.tls.key === undefined))
      report([...path, 'tls'], 'a client certificate needs both cert and key')
  }
  if (endpoint?.kind === 'grpc' && endpoint.security === 'explicit-tls' && agent.tls === undefined)
    report([...path, 'endpoint'], 'https:// needs tls; write grpcs:// to trust the system authorities')
  if (endpoint?.kind === 'v1' && agent.encodings !== undefined)
    idle('encodings', 'legacy framing has one encoding')
  if (agent.flowWaitMs !== undefined && (agent.onPause ?? input.defaults?.onPause) !== 'wait')
    idle('flowWaitMs', 'it counts with onPause: wait')
  if (
    agent.sessions?.idleTtlMs !== undefined &&
    (agent.sessions.maxSessions ?? input.defaults?.sessions?.maxSessions) === 0
  )
    idle('sessions.idleTtlMs', 'with sessions.maxSessions: 0 the agent keeps no sessions')
  if (agent.body !== undefined) {
    const events = agent.events ?? input.defaults?.events ?? []
    if (!events.includes('request-body') && !events.includes('response-body'))
      idle('body', 'the agent gets neither request-body nor response-body')
  }
  checkLimits(path, agent, input.sessionKey !== undefined, report)
  if (reverse !== undefined) checkReverse(name, agent, input, report)
}

/** Of one agent, or of the presets for all. */
export function checkLimits(
  path: OptionPath,
  { limit, limits }: Pick<AgentInput, 'limit' | 'limits'>,
  hasSessions: boolean,
  report: Report,
): void {
  if (limit !== undefined && limits !== undefined)
    report([...path, 'limits'], 'limit and limits exclude each other; move the one into the other')
  const names = new Set<string>()
  for (const [at, one] of [
    ...(limit === undefined ? [] : [[['limit'], limit] as const]),
    ...(limits ?? []).map((entry, index) => [['limits', index], entry] as const),
  ]) {
    if (one.key === 'session' && !hasSessions)
      report(
        [...path, ...at, 'key'],
        'no request has a session, so all would share one bucket; set sessionKey, for example sessionKey: cookie:sid',
      )
    const name = one.name ?? 'limit'
    if (names.has(name))
      report(
        [...path, ...at, 'name'],
        `"${name}" is used twice; two limits of one name would share their tokens`,
      )
    names.add(name)
  }
}

function checkReverse(name: string, agent: AgentInput, input: ConfigInput, report: Report): void {
  const path = ['agents', name]
  const { reverse } = agent
  if (reverse === undefined) return
  const listeners = (input.listen.reverse ?? []).map((entry) =>
    'address' in entry ? entry : { address: entry, clientCa: undefined },
  )
  if (listeners.length === 0)
    report(
      [...path, 'reverse'],
      'nobody could dial in: listen.reverse is empty; example: reverse: [unix:./run/agents.sock]',
    )
  if (reverse.tokenSha256 !== undefined && reverse.tokenSha256s !== undefined)
    report([...path, 'reverse'], 'give tokenSha256 or tokenSha256s, not both')
  const hasProof =
    reverse.tokenSha256 !== undefined ||
    reverse.tokenSha256s !== undefined ||
    reverse.clientCertificateSan !== undefined
  if (!hasProof && reverse.allowAnonymous !== true)
    report(
      [...path, 'reverse'],
      'has no token, so anyone could register as this agent; give tokenSha256 (printf %s "$TOKEN" | sha256sum) or say allowAnonymous: true',
    )
  if (hasProof && reverse.allowAnonymous === true)
    report(
      [...path, 'reverse', 'allowAnonymous'],
      'contradicts the proof that is asked for; remove one of them',
      'key',
    )
  if (
    reverse.clientCertificateSan !== undefined &&
    !listeners.some((listener) => listener.address.kind === 'tls' && listener.clientCa !== undefined)
  )
    report(
      [...path, 'reverse', 'clientCertificateSan'],
      'no listener asks for client certificates; add { address: tls://..., cert, key, clientCa } to listen.reverse',
    )
  for (const option of [
    'connections',
    'connectTimeoutMs',
    'reconnect',
    'encodings',
    'implementation',
  ] as const)
    if (agent[option] !== undefined)
      report([...path, option], 'has no effect: this agent dials in; remove it', 'key')
}
