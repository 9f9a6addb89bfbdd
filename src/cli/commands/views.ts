import type { Command } from 'commander'
import type { AgentView, ConnectionView, LoadView, StatusView } from '../../admin/views.ts'
import { queryOf } from '../arguments.ts'
import { withExamples } from '../examples.ts'
import { EXIT } from '../exit-code.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'

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
          ['LATENCY', (connection) => `${connection.latencyMs.toFixed(2)} ms`],
          ['AGE', (connection) => `${Math.round(connection.ageMs / 1000)} s`],
          ['PEER', (connection) => connection.peer],
        ]),
      )
    })
  withExamples(connections, 'weir connections', 'weir connections waf --json')
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
    ['REASON', (agent) => agent.reason],
  ])
}

function connectionsOf(agent: AgentView): string {
  return `${agent.availableConnections}/${agent.connections}/${agent.wantedConnections}`
}

function agentText(agent: AgentView): string {
  const lines: [string, string][] = [
    ['agent', agent.name],
    ['state', agent.reason === '' ? agent.state : `${agent.state}: ${agent.reason}`],
    ['endpoint', agent.endpoint],
    ['software', agent.software === '' ? '-' : agent.software],
    ['connections', `${connectionsOf(agent)} (available/present/wanted), ${agent.dialFailures} dials failed`],
    ['events', `${agent.inFlight} in flight, ${agent.waiting} waiting, ${agent.requests} done`],
    [
      'failures',
      `${agent.errors} (${agent.timeouts} timeouts), ${Math.round(agent.errorRate * 100)} % of the last minute`,
    ],
    ['latency', `${agent.latencyMs.toFixed(2)} ms, queue ${agent.queueMs.toFixed(2)} ms`],
    ['breaker', `${agent.breaker}, ${agent.ejections} ejections of connections`],
    ['on failure', agent.onFailure],
    ['sessions', String(agent.sessions)],
  ]
  return lines.map(([name, text]) => `${name.padEnd(11)} ${text}`).join('\n')
}

function statusText(status: StatusView): string {
  const lines = [
    `weir ${status.version}, process ${status.pid}, up ${Math.round(status.uptimeMs / 1000)} s`,
    `state      ${status.state}${status.isReady ? '' : ', not ready'}`,
    `requests   ${status.openRequests} open`,
    ...(status.load === undefined ? [] : [`load       ${loadLine(status.load)}`]),
    `agents     ${status.agents.ready} of ${status.agents.total} ready`,
    ...status.troubles.map(({ agent, state, reason }) => `           ${agent} ${state}: ${reason}`),
    `routes     ${status.routes}`,
    ...status.listeners.map((listener) => `${listener.option.padEnd(10)} ${listener.address}`),
    `config     ${status.config.file}, in force since ${status.config.loadedAt}`,
    ...status.config.refused.map((problem) => `refused    ${problem}`),
    ...(status.config.pendingRestart.length === 0
      ? []
      : [`restart    needed for changes of ${status.config.pendingRestart.join(', ')}`]),
  ]
  return lines.join('\n')
}

function loadLine({ inFlight, limit, pressure, refused }: LoadView): string {
  return `${inFlight} of ${limit} in flight at agents, pressure ${pressure.toFixed(2)}, ${refused} refused`
}
