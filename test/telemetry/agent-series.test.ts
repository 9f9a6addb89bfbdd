import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentSeries } from '../../src/pool/agent-metrics.ts'
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
