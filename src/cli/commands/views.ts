import type { Command } from 'commander'
import type { AgentView, ConnectionView, LoadView, StatusView } from '../../admin/views.ts'
import { queryOf } from '../arguments.ts'
import { withExamples } from '../examples.ts'
import { EXIT } from '../exit-code.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print } from '../output.ts'
import { printable } from '../printable.ts'
import { table } from '../table.ts'
import { shortTime } from '../times.ts'

/** Commands that show: `status`, `agents`, `connections`. */
export function addViewCommands(program: Command): void {
  const status = withDaemon(program.command('status'))
    .description('show the daemon; exit 1 when it is not ready')
    .action(async (options: DaemonOptions) => {
      const status = await (await findDaemon(options)).call<StatusView>('GET', '/v1/status')
      print(options.json === true, status, () => statusText(status))
      if (!status.isReady) process.exitCode = EXIT.negative
    })
  withExamples(status, 'weir status -c weir.yaml', 'weir status --admin 127.0.0.1:9901 --json')

  const agents = withDaemon(program.command('agents'))
    .description('show every agent, what an event would meet there and why')
    .argument('[agent]', 'this one, with all figures; exit 1 when it is not ready')
    .action(async (agent: string | undefined, options: DaemonOptions) => {
      const daemon = await findDaemon(options)
      const views = await daemon.call<AgentView[]>('GET', `/v1/agents${queryOf({ agent })}`)
      const [only] = views
      if (agent === undefined || only === undefined)
        print(options.json === true, views, () => agentTable(views))
      else {
        print(options.json === true, only, () => agentText(only))
        if (only.state !== 'ready') process.exitCode = EXIT.negative
      }
    })
  withExamples(agents, 'weir agents', 'weir agents waf')

  const connections = withDaemon(program.command('connections'))
    .description('show every connection')
    .argument('[agent]', 'of this agent only')
    .action(async (agent: string | undefined, options: DaemonOptions) => {
      const connections = await (await findDaemon(options)).call<ConnectionView[]>(
        'GET',
        `/v1/connections${queryOf({ agent })}`,
      )
      print(options.json === true, connections, () =>
        table(connections, [
          ['ID', (connection) => connection.id],
          ['AGENT', (connection) => connection.agent],
          ['TRANSPORT', (connection) => connection.transport],
          ['STATE', (connection) => connection.state],
          ['IN FLIGHT', (connection) => connection.inFlight],
          ['EVENTS', (connection) => connection.events],
          ['ERRORS', (connection) => connection.errors],
          ['TIMEOUTS', (connection) => connection.timeouts],
          ['SCORE', (connection) => connection.score.toFixed(2)],
          ['LATENCY', (connection) => latencyText(connection)],
          ['AGE', (connection) => `${Math.round(connection.ageMs / 1000)} s`],
          ['PEER', (connection) => connection.peer],
        ]),
      )
    })
  withExamples(connections, 'weir connections', 'weir connections waf --json')
}

/** 0: nothing was answered yet. */
function latencyText({ latencyMs }: { readonly latencyMs: number }): string {
  return latencyMs === 0 ? '-' : `${latencyMs.toFixed(2)} ms`
}

function agentTable(agents: readonly AgentView[]): string {
  return table(agents, [
    ['AGENT', (agent) => agent.name],
    ['STATE', (agent) => agent.state],
    ['CONNECTIONS', (agent) => connectionsOf(agent)],
    ['IN FLIGHT', (agent) => agent.inFlight],
    ['WAITING', (agent) => agent.waiting],
    ['BREAKER', (agent) => agent.breaker],
    ['ON FAILURE', (agent) => agent.onFailure],
    ['ENDPOINT', (agent) => agent.endpoint],
    ['SOFTWARE', (agent) => agent.software],
    ['REASON', (agent) => agent.reason || configText(agent)],
  ])
}

function connectionsOf(agent: AgentView): string {
  return `${agent.availableConnections}/${agent.connections}/${agent.wantedConnections}`
}

/** Empty for an agent that has its configuration. */
function configText({ configTrouble }: AgentView): string {
  return configTrouble === '' ? '' : `its configuration is ${configTrouble}`
}

/** `3 UNAVAILABLE, 1 TIMEOUT`. */
function countsText(counts: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(counts).sort(([, one], [, other]) => other - one)
  return reasons.length === 0 ? 'never' : reasons.map(([reason, count]) => `${count} ${reason}`).join(', ')
}

function breakerText({ breaker, breakerRetryMs, ejections }: AgentView): string {
  const retry = breakerRetryMs > 0 ? `, tries again in ${Math.ceil(breakerRetryMs)} ms` : ''
  return `${breaker}${retry}, ${ejections} ejections of connections`
}

/** What is applied comes first. */
function announcedText({ announced }: AgentView): string {
  if (announced === undefined) return '-'
  const { maxBodyBytes, preferredChunkBytes, maxProcessingMs } = announced
  const bodies = maxBodyBytes === 0 ? 'no limit of bodies' : `bodies of ${maxBodyBytes} bytes at most`
  const time = maxProcessingMs === 0 ? '' : ` and ${maxProcessingMs} ms per event`
  return `${bodies}; pieces of ${preferredChunkBytes} bytes${time} (not applied)`
}

function reportedText({ reported }: AgentView): string {
  if (reported === undefined) return '-'
  const { load, resources, ageMs } = reported
  const parts: string[] = []
  if (load !== undefined)
    parts.push(
      `${load.inFlight} in flight, ${load.queueDepth} queued, ${load.avgLatencyMs.toFixed(2)} ms on average, p99 ${load.p99LatencyMs.toFixed(2)} ms`,
      `${load.requestsProcessed} processed, ${load.requestsRejected} rejected, ${load.requestsTimedOut} timed out`,
    )
  for (const [name, value] of Object.entries(resources)) parts.push(`${name} ${value}`)
  return `${parts.join('; ')} (${shortTime(ageMs)} ago)`
}

function agentText(agent: AgentView): string {
  const lines: [string, string][] = [
    ['agent', agent.name],
    ['state', agent.reason === '' ? agent.state : `${agent.state}: ${agent.reason}`],
    ['endpoint', agent.endpoint],
    ['software', agent.software === '' ? '-' : agent.software],
    ['connections', `${connectionsOf(agent)} (available/present/wanted), ${agent.dialFailures} dials failed`],
    ['', `${agent.lost} lost, ${agent.retired} retired`],
    ['events', `${agent.inFlight} in flight, ${agent.waiting} waiting, ${agent.requests} done`],
    ['bodies', `${agent.bodyBytesInFlight} bytes in flight`],
    [
      'failures',
      `${agent.errors} (${agent.timeouts} timeouts, ${agent.connectionErrors} lost connections), ${Math.round(agent.errorRate * 100)} % of the last minute`,
    ],
    ['latency', latencyText(agent)],
    [
      'queue',
      `${agent.queueMs.toFixed(2)} ms, ${agent.queueMsTotal.toFixed(0)} ms in all, ${agent.overflows} refused for its length`,
    ],
    [
      'pauses',
      `${agent.pauses} asked for, ${agent.resumes} ended, ${agent.flowRejections} events found it paused`,
    ],
    ['breaker', breakerText(agent)],
    ['on failure', agent.onFailure],
    ['bypassed', countsText(agent.bypasses)],
    ['denied', countsText(agent.denials)],
    ['sessions', String(agent.sessions)],
    ['announces', announcedText(agent)],
    ['reports', reportedText(agent)],
  ]
  if (agent.configTrouble !== '') lines.splice(2, 0, ['config', agent.configTrouble])
  return lines.map(([name, text]) => `${name.padEnd(11)} ${printable(text, true)}`).join('\n')
}

function statusText(status: StatusView): string {
  const { agents, config } = status
  const lines: [string, string][] = [
    ['state', `${status.state}${status.isReady ? '' : ', not ready'}`],
    ...status.unready.map(({ name, detail }): [string, string] => ['', `${name}: ${detail}`]),
    ['requests', `${status.openRequests} open`],
  ]
  if (status.load !== undefined) lines.push(['load', loadLine(status.load)])
  lines.push(['agents', `${agents.ready} of ${agents.total} ready`])
  for (const { agent, state, reason } of status.troubles) lines.push(['', `${agent} ${state}: ${reason}`])
  lines.push(['routes', String(status.routes)])
  for (const { option, address } of status.listeners) lines.push([option, address])
  lines.push(['config', `${config.file}, in force since ${config.loadedAt}`])
  for (const problem of config.refused) lines.push(['refused', problem])
  if (config.pendingRestart.length > 0)
    lines.push(['restart', `needed for changes of ${config.pendingRestart.join(', ')}`])
  const width = Math.max(10, ...lines.map(([name]) => name.length))
  return [
    `weir ${status.version}, process ${status.pid}, up ${shortTime(status.uptimeMs)}`,
    ...lines.map(([name, text]) => `${name.padEnd(width)} ${printable(text, true)}`),
  ].join('\n')
}

function loadLine({ inFlight, limit, pressure, refused }: LoadView): string {
  return `${inFlight} of ${limit} in flight at agents, pressure ${pressure.toFixed(2)}, ${refused} refused`
}
