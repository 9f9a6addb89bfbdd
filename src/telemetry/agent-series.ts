import type { AgentSeries } from '../pool/agent-metrics.ts'

/** What agents report stands apart from what Weir measures. */
const PREFIX = 'weir_reported_'

/**
 * Series that agents report of themselves, as Prometheus text. Names and labels were checked when they came in;
 * of two agents that give one name different kinds, the first is believed.
 */
export function renderAgentSeries(series: Iterable<AgentSeries>): string {
  const byName = new Map<string, AgentSeries[]>()
  for (const one of series) {
    const same = byName.get(one.name)
    if (same === undefined) byName.set(one.name, [one])
    else if (same[0]?.value.kind === one.value.kind) same.push(one)
  }
  const lines: string[] = []
  for (const [name, same] of byName) {
    const { help, value } = same[0]!
    lines.push(`# HELP ${PREFIX}${name} ${escapeHelp(help === '' ? 'Reported by an agent.' : help)}`)
    lines.push(`# TYPE ${PREFIX}${name} ${value.kind}`)
    for (const one of same) renderOne(`${PREFIX}${name}`, one, lines)
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

function renderOne(name: string, { labels, value }: AgentSeries, lines: string[]): void {
  if (value.kind !== 'histogram') {
    lines.push(`${name}${labelText(labels)} ${numberText(value.value)}`)
    return
  }
  const buckets = value.buckets.toSorted((a, b) => a.le - b.le)
  if (buckets.at(-1)?.le !== Number.POSITIVE_INFINITY)
    buckets.push({ le: Number.POSITIVE_INFINITY, count: value.count })
  for (const { le, count } of buckets)
    lines.push(`${name}_bucket${labelText([...labels, ['le', numberText(le)]])} ${numberText(count)}`)
  lines.push(`${name}_sum${labelText(labels)} ${numberText(value.sum)}`)
  lines.push(`${name}_count${labelText(labels)} ${numberText(value.count)}`)
}

function labelText(labels: AgentSeries['labels']): string {
  return `{${labels.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(',')}}`
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}

function escapeValue(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '')
}
