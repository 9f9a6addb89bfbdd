import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { WeirError } from '../../core/errors.ts'
import { TrustedProxies } from '../../frontend/http/forwarding.ts'
import { completeOptions } from '../../frontend/http/options.ts'
import { RouteTable } from '../../frontend/http/route-table.ts'
import {
  type Address,
  type BindAddress,
  formatAddress,
  isLoopback,
  MAX_SOCKET_PATH_BYTES,
} from './addresses.ts'
import { checkAgent, checkLimits } from './cross-check-agent.ts'
import { checkAgentTimes, checkOverload, checkPresetTimes } from './cross-check-times.ts'
import type { OptionPath, Report } from './problem.ts'
import { type ConfigInput, DEFAULT_STORAGE_PATH } from './schema.ts'
import { suggest } from './suggest.ts'

/** Checks what no single option can tell: references, duplicates, contradictions. */
export function crossCheck(input: ConfigInput, folder: string, report: Report): void {
  checkListeners(input, folder, report)
  checkStorage(input, folder, report)
  checkHttp(input, report)
  checkOverload(input, report)
  for (const [name, agent] of Object.entries(input.agents ?? {})) {
    checkAgent(name, agent, input, folder, report)
    checkAgentTimes(name, agent, input.defaults ?? {}, report)
  }
  if (input.defaults !== undefined) {
    checkLimits(['defaults'], input.defaults, input.sessionKey !== undefined, report)
    checkPresetTimes(input.defaults, report)
  }
  checkRoutes(input, report)
}

/** An address that a listener has. */
interface Claim {
  readonly address: BindAddress
  readonly place: string
  readonly option: string
}

/** One address twice, or one of the addresses that a wildcard with the same port stands for. */
function isTaken(claim: Claim, address: BindAddress, place: string): boolean {
  if (claim.place === place) return true
  if (claim.address.kind === 'unix' || address.kind === 'unix') return false
  if (claim.address.port !== address.port) return false
  return covers(claim.address.host, address.host) || covers(address.host, claim.address.host)
}

/** Whether who listens at `one` listens at `other` too. `::` takes IPv4 as well, as Node binds it. */
function covers(one: string, other: string): boolean {
  if (one === '::') return true
  if (one === '0.0.0.0') return !other.includes(':')
  return one === 'localhost' && (other === '127.0.0.1' || other === '::1')
}

function checkListeners(input: ConfigInput, folder: string, report: Report): void {
  const { listen } = input
  const claims: Claim[] = []

  function claim(address: BindAddress, path: OptionPath, option: string): void {
    if (address.kind === 'unix') {
      const full = resolve(folder, address.path)
      if (Buffer.byteLength(full) > MAX_SOCKET_PATH_BYTES)
        report(
          path,
          `the socket path ${full} is longer than ${MAX_SOCKET_PATH_BYTES} bytes; choose a shorter folder`,
        )
    }
    /* Port 0 asks the system for a free one: never a duplicate. */
    if (address.kind !== 'unix' && address.port === 0) return
    const place =
      address.kind === 'unix'
        ? `unix:${resolve(folder, address.path)}`
        : formatAddress({ ...address, kind: 'tcp' })
    const first = claims.find((claim) => isTaken(claim, address, place))
    if (first === undefined) claims.push({ address, place, option })
    else {
      const whose = first.place === place ? '' : ` (${first.place})`
      report(path, `${place} is already taken by ${first.option}${whose}; give each listener its own address`)
    }
  }

  const single: [string, Address | undefined][] = [
    ['http', listen.http],
    ['grpc', listen.grpc],
    ['socket', listen.socket],
  ]
  for (const [name, address] of single)
    if (address !== undefined) claim(address, ['listen', name], `listen.${name}`)
  if (listen.socket !== undefined && listen.socket.kind !== 'unix')
    report(['listen', 'socket'], 'expected a Unix socket; example: unix:./run/weir.sock')
  if (listen.http?.kind === 'unix') report(['listen', 'http'], 'expected host:port; example: 127.0.0.1:8080')
  if (listen.grpc?.kind === 'unix')
    report(
      ['listen', 'grpc'],
      'expected host:port; a Unix socket belongs in listen.socket; example: 127.0.0.1:50051',
    )

  for (const [index, entry] of (listen.reverse ?? []).entries()) {
    const path = ['listen', 'reverse', index]
    const address = 'address' in entry ? entry.address : entry
    claim(address, path, `listen.reverse[${index}]`)
    const certificates: { cert?: unknown; key?: unknown; clientCa?: unknown } =
      'address' in entry ? entry : {}
    if (address.kind === 'tls') {
      if (certificates.cert === undefined || certificates.key === undefined)
        report(
          path,
          'a tls:// listener needs cert and key; example: { address: tls://0.0.0.0:9443, cert: ./weir.pem, key: ./weir.key }',
        )
    } else
      for (const option of ['cert', 'key', 'clientCa'] as const)
        if (certificates[option] !== undefined)
          report(
            [...path, option],
            'has an effect on tls:// listeners only; remove it or change the address',
            'key',
          )
  }

  const admin = listen.admin
  if (admin !== undefined) {
    const address = 'address' in admin ? admin.address : admin
    claim(address, ['listen', 'admin'], 'listen.admin')
    const allowRemote = 'address' in admin && admin.allowRemote === true
    if (!isLoopback(address) && !allowRemote)
      report(
        ['listen', 'admin'],
        `${formatAddress(address)} can be reached from other machines and the admin API has no login; use 127.0.0.1 or a Unix socket, or write { address: ..., allowRemote: true }`,
      )
  }
  if (input.http !== undefined && listen.http === undefined)
    report(['http'], 'has no effect: listen.http is not set; remove it', 'key')
  if (listen.http === undefined && listen.grpc === undefined && listen.socket === undefined)
    report(['listen'], 'nothing would be served; give at least one of http, grpc, socket', 'key')
}

/** What lies there and can never be opened; a file that is not there yet is made at the start. */
function checkStorage({ storage }: ConfigInput, folder: string, report: Report): void {
  const path = resolve(folder, storage?.path ?? DEFAULT_STORAGE_PATH)
  const option = ['storage', 'path']
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined || found.isFile()) return
    if (found.isDirectory()) report(option, `${path} is a folder; name a file in it, for example weir.db`)
    else report(option, `${path} is neither a file nor absent; name another path`)
  } catch (error) {
    report(option, `${path} cannot be used: ${(error as Error).message}`)
  }
}

function checkHttp({ http }: ConfigInput, report: Report): void {
  for (const [index, range] of (http?.trustedProxies ?? []).entries())
    reportThrown(report, ['http', 'trustedProxies', index], () => new TrustedProxies([range]))
  const via = http?.via
  if (via !== undefined) reportThrown(report, ['http', 'via'], () => completeOptions({ via }))
}

/** What a part would refuse when it is built is wrong in the file already. */
function reportThrown(report: Report, path: OptionPath, build: () => unknown): void {
  try {
    build()
  } catch (thrown) {
    report(path, WeirError.from(thrown).message)
  }
}

/** Whether an origin leads back to our own HTTP listener, as far as its text tells. */
function isOwnListener({ listen }: ConfigInput, upstream: string | undefined): boolean {
  const own = listen.http
  if (own === undefined || own.kind === 'unix' || upstream === undefined || !URL.canParse(upstream))
    return false
  const { hostname, port, protocol } = new URL(upstream)
  if (Number(port || (protocol === 'https:' ? 443 : 80)) !== own.port) return false
  const host = hostname.replace(/^\[|\]$/g, '')
  const isHere = host === 'localhost' || host === '::1' || host.startsWith('127.')
  return host === own.host || (isHere && (isLoopback(own) || own.host === '0.0.0.0' || own.host === '::'))
}

function checkRoutes(input: ConfigInput, report: Report): void {
  const names = new Map<string, number>()
  const matches = new Map<string, number>()
  const agents = Object.keys(input.agents ?? {})
  for (const [index, route] of (input.routes ?? []).entries()) {
    const path = ['routes', index]
    if (route.name !== undefined) {
      const first = names.get(route.name)
      if (first !== undefined)
        report([...path, 'name'], `routes[${first}] has this name already; choose another`)
      else names.set(route.name, index)
    }
    reportThrown(
      report,
      [...path, 'match'],
      () => new RouteTable([{ name: route.name ?? `routes[${index}]`, ...route.match }]),
    )
    const match = `${route.match.host?.toLowerCase() ?? ''} ${route.match.path}`
    const same = matches.get(match)
    if (same !== undefined)
      report([...path, 'match'], `routes[${same}] matches exactly the same requests; remove one`)
    else matches.set(match, index)

    if (input.listen.http !== undefined && route.upstream === undefined)
      report(
        path,
        'has no upstream, and listen.http must forward somewhere; example: upstream: http://127.0.0.1:3000',
      )
    if (isOwnListener(input, route.upstream))
      report(
        [...path, 'upstream'],
        `${route.upstream} is listen.http itself: each request would go round for ever; name the server behind`,
      )
    const used = new Set<string>()
    for (const [position, agent] of route.agents.entries()) {
      if (used.has(agent)) report([...path, 'agents', position], `${agent} is named twice`)
      used.add(agent)
      if (agents.includes(agent)) continue
      const near = suggest(agent, agents)
      const hint = near === undefined ? `known: ${agents.join(', ') || 'none'}` : `did you mean ${near}?`
      report([...path, 'agents', position], `no agent is named "${agent}"; ${hint}`)
    }
  }
  if (input.routes === undefined || input.routes.length === 0)
    report(
      ['routes'],
      'no route is defined, so every request would be refused; example: - { match: { path: /* }, upstream: http://127.0.0.1:3000, agents: [] }',
      'key',
    )
}
