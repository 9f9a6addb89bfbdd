import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Place } from '../daemon/harness.ts'
import type { AgentProcess } from '../integration/agent-process.ts'
import { eventually } from '../support/eventually.ts'
import { Clients, type Exchange } from './clients.ts'
import { GUARD_TOKEN_SHA256, type GuardKind, startGuard } from './guard.ts'

const CONCURRENCY = 200
const TIMEOUT_MS = 1000
/** Milliseconds over its agent's timeout that a request may take: 200 of them and three processes share two cores. */
const GRACE_MS = 3000
const RECOVERY_MS = 2000

type Addresses = Readonly<Record<GuardKind, string>>
const KINDS = ['uds', 'grpc', 'reverse'] as const

/** Two agents for each process: they differ in what its failure means. */
function configuration(addresses: Addresses, upstream: number): string {
  const origins = {
    uds: `endpoint: "unix:${addresses.uds}"`,
    grpc: `endpoint: "grpc://${addresses.grpc}"`,
    reverse: `reverse: { tokenSha256: ${GUARD_TOKEN_SHA256} }`,
  }
  const agents = KINDS.flatMap((kind) => [
    `  strict-${kind}: { ${origins[kind]}, timeoutMs: ${TIMEOUT_MS}, onFailure: closed }`,
    `  lenient-${kind}: { ${origins[kind]}, timeoutMs: ${TIMEOUT_MS}, onFailure: open }`,
  ])
  const routes = KINDS.flatMap((kind) => [`strict-${kind}`, `lenient-${kind}`]).map(
    (name) =>
      `  - { name: ${name}, match: { path: /${name} }, upstream: "http://127.0.0.1:${upstream}", agents: [${name}] }`,
  )
  return `
listen: { http: "127.0.0.1:0", admin: unix:./admin.sock, reverse: [unix:./agents.sock] }
agents:
${agents.join('\n')}
routes:
${routes.join('\n')}
defaults: { reconnect: { maxMs: ${RECOVERY_MS / 2} } }
log: { sampleAllows: 0 }
`
}

const wasGuarded = ({ status, headers }: Exchange): boolean =>
  status === 200 && headers['x-guard'] !== undefined && headers['x-weir-bypass'] === undefined

const isDenied = ({ status }: Exchange): boolean => status >= 500
const isBypassed = ({ headers }: Exchange): boolean => headers['x-weir-bypass'] !== undefined

/** One of the outcomes that the agent's failure mode has, whole and named. */
function assertOutcome(exchange: Exchange): void {
  const { path, status, headers, text, failure, latencyMs } = exchange
  assert.equal(failure, undefined, `${path} got no answer`)
  assert.ok(latencyMs < TIMEOUT_MS + GRACE_MS, `${path} took ${latencyMs} ms: ${status} ${text}`)
  assert.ok(headers['x-weir-correlation-id'], `${path} ${status}`)
  if (wasGuarded(exchange)) {
    assert.equal(text, 'upstream')
    return
  }
  if (path.startsWith('/lenient')) {
    assert.equal(status, 200, text)
    assert.match(String(headers['x-weir-bypass']), /lenient/)
    assert.equal(text, 'upstream')
    return
  }
  assert.ok(status >= 500 && status < 600, `${status} ${text}`)
  const { error, message, correlationId } = JSON.parse(text) as Record<string, string>
  assert.match(`${error}: ${message}`, /^[A-Z_]+: ./, text)
  assert.equal(correlationId, headers['x-weir-correlation-id'])
}

test('agents are killed under load: each request ends by its failure mode, and the return of the agent is enough', async (t) => {
  const place = await Place.make(t)
  const start = (kind: GuardKind, address: string): Promise<AgentProcess> =>
    startGuard(t, kind, address, { names: 'strict-reverse,lenient-reverse', delayMs: 5 })
  /* One that dials in may come before there is anybody to dial. */
  const [uds, grpc, reverse] = await Promise.all([
    start('uds', place.socket('guard')),
    start('grpc', '127.0.0.1:0'),
    start('reverse', `unix:${place.socket('agents')}`),
  ])
  const guards = { uds, grpc, reverse }
  const addresses = { uds: uds.address, grpc: grpc.address, reverse: reverse.address }
  await writeFile(place.file, configuration(addresses, place.upstream))
  const daemon = await place.serve()
  await daemon.untilReady()

  for (const kind of KINDS)
    await t.test(kind, async (t) => {
      const paths = [`/strict-${kind}`, `/lenient-${kind}`]
      const load = new Clients(daemon.port, CONCURRENCY, (n) => paths[n % 2]!)
      const { exchanges } = load
      const since = (at: number, holds: (exchange: Exchange) => boolean): number =>
        exchanges.slice(at).filter(holds).length
      await eventually('the load runs', () => since(0, wasGuarded) > CONCURRENCY, 10_000)
      const killedAt = exchanges.length
      await guards[kind].kill()
      await eventually('both failure modes are met', () => {
        const enough = CONCURRENCY / 2
        return since(killedAt, isDenied) >= enough && since(killedAt, isBypassed) >= enough
      })

      const again = await start(kind, addresses[kind])
      const backAt = performance.now()
      const isBack = (path: string) => (exchange: Exchange) =>
        exchange.path === path && exchange.headers['x-guard'] === String(again.pid)
      const areBack = (): boolean => paths.every((path) => since(killedAt, isBack(path)) > 0)
      await eventually('both are guarded again', areBack, RECOVERY_MS)
      t.diagnostic(`guarded again ${(performance.now() - backAt).toFixed()} ms after the agent was ready`)
      const all = await load.stop()
      for (const exchange of all) assertOutcome(exchange)
      const ids = all.map(({ headers }) => headers['x-weir-correlation-id'])
      assert.equal(new Set(ids).size, ids.length, 'correlation ids are unique')
      assert.ok(all.slice(0, killedAt).every(wasGuarded), 'nothing failed before')
      const counts = `${since(killedAt, isDenied)} denied, ${since(killedAt, isBypassed)} bypassed`
      t.diagnostic(`${all.length} requests, ${counts}`)
    })

  daemon.process.child.kill('SIGTERM')
  assert.equal(await daemon.process.ended(), 0)
})
