/** One line of Weir's log as the demo reads it. */
interface LogLine {
  readonly event?: string
  readonly level?: string
  readonly msg?: string
  readonly method?: string
  readonly path?: string
  readonly status?: number
  readonly decision?: string
  readonly decidedBy?: string
  readonly durationMs?: number
  readonly correlationId?: string
  readonly bypassed?: readonly string[]
}

/** A log line of Weir as one line for people; undefined for lines that a demo need not show. */
export function describeLogLine(text: string): string | undefined {
  let line: LogLine
  try {
    line = JSON.parse(text) as LogLine
  } catch {
    return text
  }
  if (line.event === 'request') return describeRequest(line)
  if (line.level === 'info' || line.level === 'debug') return undefined
  return `${line.level ?? ''}: ${line.msg ?? text}`
}

function describeRequest(line: LogLine): string {
  const by = line.decidedBy === undefined ? '' : ` by ${line.decidedBy}`
  const skipped = line.bypassed?.length ? `  not heard: ${line.bypassed.join(', ')}` : ''
  const decision = `${line.decision ?? '?'}${by}`.padEnd(18)
  const request = `${line.method ?? '?'} ${line.path ?? '?'}`.padEnd(28)
  return `${line.status ?? '---'}  ${decision} ${request} ${(line.durationMs ?? 0).toFixed(1)} ms  ${line.correlationId ?? ''}${skipped}`
}
