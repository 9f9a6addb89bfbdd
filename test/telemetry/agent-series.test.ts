import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { MetricsReport } from '../../src/core/agent-messages.ts'
import { AgentMetrics, type AgentSeries } from '../../src/pool/agent-metrics.ts'
import { renderAgentSeries } from '../../src/telemetry/agent-series.ts'

function counter(name: string, agent: string, value: number): AgentSeries {
  return { name, help: '', labels: [['agent_id', agent]], value: { kind: 'counter', value }, reportedAt: 0 }
}

test('series of one name share one heading and keep the agent apart', () => {
  assert.equal(
    renderAgentSeries([counter('seen_total', 'waf', 3), counter('seen_total', 'pii', 4)]),
    `# HELP weir_reported_seen_total Reported by an agent.
# TYPE weir_reported_seen_total counter
weir_reported_seen_total{agent_id="waf"} 3
weir_reported_seen_total{agent_id="pii"} 4
`,
  )
})

test('a histogram has its buckets in order, an infinite one among them', () => {
  const text = renderAgentSeries([
    {
      name: 'scan_seconds',
      help: 'Scan\ntime',
      labels: [['agent_id', 'waf']],
      value: {
        kind: 'histogram',
        sum: 1.5,
        count: 3,
        buckets: [
          { le: 1, count: 2 },
          { le: 0.1, count: 1 },
        ],
      },
      reportedAt: 0,
    },
  ])
  assert.match(text, /# HELP weir_reported_scan_seconds Scan\\ntime\n/)
  assert.match(text, /le="0\.1"\} 1\n.*le="1"\} 2\n.*le="\+Inf"\} 3\n.*_sum\S+ 1\.5\n.*_count\S+ 3\n$/s)
})

test('quotes and line breaks in labels cannot make lines of their own', () => {
  const text = renderAgentSeries([
    {
      ...counter('seen_total', 'waf', 1),
      labels: [
        ['path', 'a"} 9\nfaked_total{x="'],
        ['agent_id', 'waf'],
      ],
    },
  ])
  assert.equal(text.split('\n').filter((line) => line.startsWith('faked')).length, 0)
  assert.ok(text.includes('path="a\\"} 9\\nfaked_total{x=\\""'))
})

test('a name that two agents give different kinds keeps the first kind', () => {
  const gauge: AgentSeries = { ...counter('x', 'pii', 7), value: { kind: 'gauge', value: 7 } }
  const text = renderAgentSeries([counter('x', 'waf', 1), gauge])
  assert.ok(!text.includes('pii'))
  assert.equal(text.match(/# TYPE/g)?.length, 1)
})

test('no reports render as nothing', () => assert.equal(renderAgentSeries([]), ''))

/** Name and labels of one sample line. Fails on what a strict reader would. */
function sampleOf(line: string): string {
  const match =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*",?)*)\} \S+$/.exec(line)
  assert.ok(match !== null, `no sample: ${line}`)
  const quoted = match[2]!.replace(/"(?:[^"\\]|\\.)*"/g, '""')
  const names = Array.from(quoted.matchAll(/(\w+)=""/g), ([, label]) => label!)
  assert.deepEqual(names, [...new Set(names)], `a label stands twice: ${line}`)
  return `${match[1]}{${match[2]}}`
}

const labels = fc.dictionary(
  fc.constantFrom('a', 'le', 'agent_id', '__x', 'b c'),
  fc.constantFrom('', '1', 'x="y"', 'back\\slash', 'two\nlines'),
  { maxKeys: 3 },
)
const sample = { name: fc.constantFrom('h', 'h_count', 'h_sum', 'h_bucket', 'x', 'bad name'), labels }
const number = fc.oneof(fc.integer(), fc.double())
const bucket = fc.record({
  le: fc.constantFrom(0.1, 1, Number.NaN, Number.POSITIVE_INFINITY),
  count: fc.nat(),
})
const reportParts = fc.record({
  counters: fc.array(fc.record({ ...sample, value: number }), { maxLength: 4 }),
  gauges: fc.array(fc.record({ ...sample, value: number }), { maxLength: 4 }),
  histograms: fc.array(
    fc.record({ ...sample, sum: number, count: fc.nat(), buckets: fc.array(bucket, { maxLength: 5 }) }),
    { maxLength: 4 },
  ),
})

test('whatever agents report, no sample stands twice and no label twice in one', () => {
  fc.assert(
    fc.property(fc.array(reportParts, { minLength: 1, maxLength: 3 }), (reports) => {
      const series = reports.flatMap((parts, n) => {
        const metrics = new AgentMetrics(`agent-${n}`)
        const report: MetricsReport = { agentId: 'x', timestampMs: 0, intervalMs: 1, ...parts }
        metrics.take(report, 0)
        return metrics.list(0)
      })
      const lines = renderAgentSeries(series).split('\n').slice(0, -1)
      const ids = lines.filter((line) => !line.startsWith('#')).map((line) => sampleOf(line))
      assert.deepEqual(ids, [...new Set(ids)])
      const headings = lines.filter((line) => line.startsWith('# TYPE'))
      assert.equal(new Set(headings.map((line) => line.split(' ')[2])).size, headings.length)
    }),
    { numRuns: 1000 },
  )
})
