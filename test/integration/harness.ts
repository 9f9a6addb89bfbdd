import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { AgentProcess } from './agent-process.ts'
import { type AgentPlan, type Books, Gate, type Outcome } from './gate.ts'
import { Load, type LoadOptions } from './load.ts'
import type { Upload } from './upload.ts'

/** Milliseconds a verdict may come after its deadline, besides the time this process itself stood still. */
const GRACE_MS = 300
/** Milliseconds in which traffic has to flow again after an agent is back. */
export const RECOVERY_MS = 2000

/** What one scenario runs on: processes and gates, all of which are gone and accounted for when it ends. */
export class Stage {
  readonly folder: string
  readonly #gates: Gate[] = []
  readonly #agents = new Set<AgentProcess>()
  readonly #stalls = monitorEventLoopDelay({ resolution: 10 })

  constructor(folder: string) {
    this.folder = folder
    this.#stalls.enable()
  }

  path(name = 'agent'): string {
    return join(this.folder, `${name}.sock`)
  }

  /** A well-behaved agent on a Unix socket, on gRPC (`grpc`, port 0 picks one), or dialing in (`reverse`). */
  judge(
    kind: 'uds' | 'grpc' | 'reverse',
    address: string,
    ...more: readonly unknown[]
  ): Promise<AgentProcess> {
    return this.#start('judge', [kind, address, ...more.map(String)])
  }

  /** An agent on a Unix socket that breaks the rules as `mode` says. */
  brute(mode: string, path = this.path()): Promise<AgentProcess> {
    return this.#start('brute', ['uds', path, mode])
  }

  /** The same on gRPC; each event names its fault. `address` of the process has the port. */
  bruteGrpc(): Promise<AgentProcess> {
    return this.#start('brute-grpc', ['grpc', '127.0.0.1:0'])
  }

  gate(...plans: readonly AgentPlan[]): Gate {
    const gate = new Gate(plans)
    this.#gates.push(gate)
    return gate
  }

  load(gate: Gate, options: LoadOptions): Load {
    return new Load(gate, options)
  }

  /** Waits until an agent's pool has as many available connections as it should keep. */
  async ready(gate: Gate, name = 'judge'): Promise<void> {
    const isFull = (): boolean => gate.snapshot(name).available >= gate.snapshot(name).target
    await eventually(`all connections of ${name} are up`, isFull, 8000)
  }

  /**
   * Asks until the agent is heard again and its breaker has closed; it must be within {@link RECOVERY_MS}. Resolves
   * with the time it took.
   */
  async recovers(gate: Gate, name = 'judge', withinMs = RECOVERY_MS): Promise<number> {
    const startedAt = performance.now()
    const isHeard = async (): Promise<boolean> =>
      (await gate.ask('', name)).what === 'allow' && gate.snapshot(name).breaker === 'closed'
    await eventually(`${name} is heard again`, isHeard, withinMs + this.#stallMs)
    return performance.now() - startedAt
  }

  /** Ends everything and checks what holds for every scenario. */
  async end(): Promise<void> {
    for (const gate of this.#gates) await this.#settle(gate)
    for (const gate of this.#gates) await gate.close()
    for (const gate of this.#gates) {
      const left = (): boolean => gate.clock.timers === 0
      await eventually(`no timer is left (${gate.clock.timers} are)`, left, 2000)
      assert.deepEqual(gate.errors, [])
      assert.equal(gate.books.opened, gate.books.closed, 'every connection that was opened is closed')
    }
    await this.abandon()
  }

  /** Leaves no process behind, whatever went wrong. */
  async abandon(): Promise<void> {
    this.#stalls.disable()
    for (const agent of this.#agents) await agent.kill()
    await rm(this.folder, { recursive: true, force: true })
  }

  get #stallMs(): number {
    return this.#stalls.max / 1e6
  }

  async #start(program: string, args: readonly string[]): Promise<AgentProcess> {
    const agent = await AgentProcess.start(program, args)
    this.#agents.add(agent)
    return agent
  }

  /** No request open, none late, each with one outcome that the probe saw too, and nothing held. */
  async #settle(gate: Gate): Promise<void> {
    const { books, outcomes, dispatcher, wheel, registry } = gate
    assert.equal(dispatcher.openRequests, 0, 'no request is open')
    await eventually(`the wheel is empty (${wheel.size} nodes)`, () => wheel.size === 0, 3000)
    for (const { agent, inFlight, waiting, pins, connections } of registry.snapshot()) {
      assert.deepEqual({ agent, inFlight, waiting, pins }, { agent, inFlight: 0, waiting: 0, pins: 0 })
      for (const { id, bodyBytesInFlight } of connections) {
        assert.equal(bodyBytesInFlight, 0, 'no bytes of bodies are held')
        assert.equal(gate.pool(agent).find(id)?.connection.pendingCount ?? 0, 0, 'nothing is pending')
      }
    }
    const uploads = new Map(gate.uploads.map((upload) => [upload.correlationId, upload]))
    for (const upload of gate.uploads) this.#checkUpload(upload, books)
    const asked = books.calls.filter(({ correlationId }) => !uploads.has(correlationId))
    const calls = new Map<string, string[]>()
    for (const { correlationId, agent, outcome } of asked) {
      const key = `${correlationId} ${agent}`
      calls.set(key, [...(calls.get(key) ?? []), outcome])
    }
    for (const outcome of outcomes) this.#check(outcome, calls)
    const bypasses = outcomes
      .flatMap(({ verdict }) => verdict.bypassed.map(({ reason }) => `bypass:${reason}`))
      .concat(
        gate.uploads
          .flatMap((upload) => upload.outcomes.map(({ what }) => what))
          .filter((what) => what.startsWith('bypass:')),
      )
    const seen = books.bypasses.map((reason) => `bypass:${reason}`)
    assert.deepEqual(seen.sort(), bypasses.sort(), 'the probe saw every bypass')
    const answered = outcomes.flatMap((outcome) => heard(outcome))
    assert.equal(asked.length, answered.length, 'the probe saw every call, and no other')
  }

  /** Every piece has its verdict in time, and the probe saw each of its calls once. */
  #checkUpload({ correlationId, events, outcomes, timeoutMs }: Upload, { calls }: Books): void {
    assert.equal(outcomes.length, events - 1, 'every piece has a verdict')
    const limitMs = timeoutMs + GRACE_MS + this.#stallMs
    for (const { what, latencyMs, judge } of outcomes) {
      assert.ok(
        latencyMs < limitMs,
        `a piece took ${latencyMs.toFixed()} of ${limitMs.toFixed()} ms: ${what}`,
      )
      assert.equal(judge !== undefined, what === 'allow', 'an allow comes from an agent')
    }
    const seen = calls.filter((call) => call.correlationId === correlationId).length
    /* A piece behind a refused one is asked about nowhere. */
    const dropped = outcomes.filter(({ what }) => what === 'CANCELLED').length
    assert.ok(seen <= events && seen >= events - dropped, `${seen} calls for ${events} events`)
  }

  #check(outcome: Outcome, calls: ReadonlyMap<string, readonly string[]>): void {
    const { correlationId, what, verdict, latencyMs, timeoutMs, agents, isMixedUp, judge } = outcome
    const limitMs = timeoutMs + GRACE_MS + this.#stallMs
    assert.ok(
      latencyMs < limitMs,
      `a request took ${latencyMs.toFixed()} of ${limitMs.toFixed()} ms: ${what}`,
    )
    assert.ok(!isMixedUp, 'nobody gets the answer to another request')
    if (what === 'allow') assert.ok(judge !== undefined, 'an allow comes from an agent')
    for (const agent of heard(outcome)) {
      const seen = calls.get(`${correlationId} ${agent}`) ?? []
      assert.equal(seen.length, 1, `one call of ${agent} for one request`)
      const isDenial = verdict.decidedBy === agent && verdict.error !== undefined
      if (isDenial) assert.equal(seen[0], verdict.error!.code)
      else if (agents.length === 1 && verdict.bypassed.length === 0)
        assert.equal(seen[0], verdict.decision.kind)
    }
  }
}

/** The agents that were asked: one after the other until one denied. */
function heard({ agents, verdict }: Outcome): readonly string[] {
  const last = verdict.decidedBy === undefined ? -1 : agents.indexOf(verdict.decidedBy)
  return last < 0 ? agents : agents.slice(0, last + 1)
}

/** A scenario with the checks that hold for every one of them; nothing may be left of it. */
export function scenario(title: string, body: (stage: Stage) => Promise<void>): void {
  test(title, { timeout: 30_000 }, async () => {
    const before = handles()
    const stage = new Stage(await mkdtemp(join(tmpdir(), 'weir-')))
    try {
      await body(stage)
      await stage.end()
    } finally {
      await stage.abandon()
    }
    const same = (): boolean => handles().join() === before.join()
    await eventually(`no socket and no process is left`, same, 2000).catch(() =>
      assert.deepEqual(handles(), before, 'no socket and no process is left'),
    )
  })
}

/** Sockets, servers and child processes that keep this process alive. */
function handles(): readonly string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind.endsWith('Wrap'))
    .sort()
}
