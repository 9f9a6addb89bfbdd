import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestFacts } from '../../src/core/probe.ts'
import { DialFailures } from '../../src/telemetry/dial-failures.ts'
import { createLog, type LogOptions } from '../../src/telemetry/log.ts'
import { FakeClock } from '../support/fake-clock.ts'

interface Line {
  readonly level: string
  readonly time: string
  readonly decidedBy?: string
  readonly status?: number
  readonly durationMs?: number
  readonly reason?: string
  readonly failures?: number
}

function logLines(options: Partial<LogOptions> = {}): {
  log: ReturnType<typeof createLog>
  lines: () => Line[]
} {
  const written: string[] = []
  const log = createLog({
    level: 'info',
    sampleAllows: 1,
    stream: { write: (line) => void written.push(line) },
    ...options,
  })
  return { log, lines: () => written.map((line) => JSON.parse(line) as Line) }
}

function facts(parts: Partial<RequestFacts> = {}): RequestFacts {
  return {
    correlationId: 'abcdefgh-000',
    requestId: 'r1',
    route: 'all',
    method: 'GET',
    path: '/hello',
    status: 200,
    durationMs: 1.23456,
    decision: 'allow',
    bypassed: [],
    ...parts,
  }
}

test('a request is one JSON line with its decision, status and time', () => {
  const { log, lines } = logLines()
  log.probe.requestDone?.(facts({ decision: 'block', decidedBy: 'waf', status: 403 }))
  const [line] = lines()
  assert.equal(lines().length, 1)
  assert.equal(line?.level, 'info')
  assert.equal(line.decidedBy, 'waf')
  assert.equal(line.status, 403)
  assert.equal(line.durationMs, 1.235)
  assert.ok(!Number.isNaN(Date.parse(String(line.time))))
})

test('only plain allows are sampled away', () => {
  const { log, lines } = logLines({ sampleAllows: 0 })
  log.probe.requestDone?.(facts())
  assert.equal(lines().length, 0)
  log.probe.requestDone?.(facts({ bypassed: ['waf'] }))
  log.probe.requestDone?.(facts({ decision: 'block' }))
  log.probe.requestDone?.(facts({ decision: 'error', error: 'TIMEOUT' }))
  assert.equal(lines().length, 3)
})

test('sampling keeps its share', () => {
  const rolls = [0.05, 0.5, 0.09, 0.99]
  const { log, lines } = logLines({ sampleAllows: 0.1, random: () => rolls.shift() ?? 1 })
  for (let i = 0; i < 4; i++) log.probe.requestDone?.(facts())
  assert.equal(lines().length, 2)
})

test('secrets in facts are hidden', () => {
  const { log, lines } = logLines()
  log.probe.notice?.('warn', 'refused', { token: 'tok-123', headers: { authorization: 'Bearer abc' } })
  log.audit('ban', { agent: 'waf', password: 'tok-123' })
  const text = JSON.stringify(lines())
  assert.ok(!text.includes('tok-123') && !text.includes('Bearer'), text)
})

test('level and sampling change while running', () => {
  const { log, lines } = logLines()
  log.reconfigure({ level: 'error', sampleAllows: 1 })
  log.probe.requestDone?.(facts())
  log.probe.notice?.('warn', 'quiet')
  assert.equal(lines().length, 0)
  log.reconfigure({ level: 'info', sampleAllows: 1 })
  log.probe.requestDone?.(facts())
  assert.equal(lines().length, 1)
})

test('a failed dial is told once per agent and reason, then once a minute with its count', () => {
  const clock = new FakeClock()
  const { log, lines } = logLines({ clock })
  const fail = (agent: string, reason: string): void =>
    log.probe.dialFailed?.(agent, 'unix:/a.sock', reason, 100)
  const told = (): string[] =>
    lines().flatMap(({ reason, failures }) => (reason === undefined ? [] : [`${reason} ${failures}`]))
  for (let n = 0; n < 40; n++) fail('waf', n % 2 === 0 ? 'nobody listens' : 'no file')
  fail('pii', 'nobody listens')
  assert.deepEqual(told(), ['nobody listens 1', 'no file 1', 'nobody listens 1'])
  clock.advance(59_999)
  fail('waf', 'nobody listens')
  assert.equal(told().length, 3)
  clock.advance(1)
  fail('waf', 'nobody listens')
  fail('waf', 'nobody listens')
  assert.deepEqual(told().slice(3), ['nobody listens 21'])
  log.probe.connectionOpened?.('waf', 1, 'uds', '/a.sock')
  fail('waf', 'nobody listens')
  assert.deepEqual(told().slice(4), ['nobody listens 1'], 'after a success it is news again')
})

test('reasons that are new each time do not grow a table without end', () => {
  const dials = new DialFailures(new FakeClock())
  for (let n = 0; n < 1000; n++) assert.equal(dials.heard('waf', `attempt ${n}`), 1)
  assert.equal(dials.heard('waf', 'attempt 999'), 0)
  assert.equal(dials.heard('waf', 'attempt 0'), 1, 'the oldest was forgotten')
})
