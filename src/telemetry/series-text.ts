/** `{name="value",...}` of the Prometheus text format. */
export function seriesLabels(labels: Iterable<readonly [string, string]>): string {
  const parts: string[] = []
  for (const [name, value] of labels) parts.push(`${name}="${escapeValue(value)}"`)
  return `{${parts.join(',')}}`
}

/** A value of the Prometheus text format. */
export function seriesNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}

function escapeValue(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
