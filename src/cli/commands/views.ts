import type { Command } from 'commander'
import type { AgentView, ConnectionView, LimitView, LoadView, StatusView } from '../../admin/views.ts'
import { EXIT } from '../exit-code.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'

/** Commands that show: `status`, `agents`, `connections`, `limits`. */
export function addViewCommands(program: Command): void {
  withDaemon(program.command('status'))
    .description('show the daemon; exit 1 when it is not ready')
    .action(async (options: DaemonOptions) => {
      const status = await (await findDaemon(options)).call<StatusView>('GET', '/v1/status')
      print(options.json === true, status, () => statusText(status))
      if (!status.isReady) process.exitCode = EXIT.negative
    })

  withDaemon(program.command('agents'))
    .description('show every agent with its connections')
    .action(async (options: DaemonOptions) => {
      const agents = await (await findDaemon(options)).call<AgentView[]>('GET', '/v1/agents')
      print(options.json === true, agents, () =>
        table(agents, [
          ['AGENT', (agent) => agent.name],
          ['STATE', (agent) => agent.state],
          [
            'CONNECTIONS',
            (agent) => `${agent.availableConnections}/${agent.connections}/${agent.wantedConnections}`,
          ],
          ['IN FLIGHT', (agent) => agent.inFlight],
          ['WAITING', (agent) => agent.waiting],
          ['BREAKER', (agent) => agent.breaker],
          ['ON FAILURE', (agent) => agent.onFailure],
          ['ENDPOINT', (agent) => agent.endpoint],
          ['SOFTWARE', (agent) => agent.software],
        ]),
      )
    })

  withDaemon(program.command('connections'))
    .description('show every connection')
    .argument('[agent]', 'of this agent only')
    .action(async (agent: string | undefined, options: DaemonOptions) => {
      const connections = await (await findDaemon(options)).call<ConnectionView[]>(
        'GET',
        `/v1/connections${of(agent)}`,
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

  withDaemon(program.command('limits'))
    .description('show the rate limits')
    .argument('[agent]', 'of this agent only')
    .action(async (agent: string | undefined, options: DaemonOptions) => {
      const limits = await (await findDaemon(options)).call<LimitView[]>('GET', `/v1/limits${of(agent)}`)
      print(options.json === true, limits, () =>
        limits.length === 0
          ? 'no limits'
          : table(limits, [
              ['AGENT', (limit) => limit.agent],
              ['LIMIT', (limit) => limit.name],
              ['KEY', (limit) => limit.key],
              ['RATE', (limit) => `${limit.ratePerSecond}/s`],
              ['BURST', (limit) => limit.burst],
              ['PER', (limit) => limit.cost],
              ['LEFT', (limit) => limit.remaining ?? '-'],
              ['MODE', (limit) => (limit.isShadow ? 'shadow' : 'enforced')],
            ]),
      )
    })
}

function of(agent: string | undefined): string {
  return agent === undefined ? '' : `?agent=${encodeURIComponent(agent)}`
}

function statusText(status: StatusView): string {
  const lines = [
    `weir ${status.version}, process ${status.pid}, up ${Math.round(status.uptimeMs / 1000)} s`,
    `state      ${status.state}${status.isReady ? '' : ', not ready'}`,
    `requests   ${status.openRequests} open`,
    ...(status.load === undefined ? [] : [`load       ${loadLine(status.load)}`]),
    `agents     ${status.agents.ready} of ${status.agents.total} ready`,
    `routes     ${status.routes}`,
    ...status.listeners.map((listener) => `${listener.option.padEnd(10)} ${listener.address}`),
    `config     ${status.config.file}, in force since ${status.config.loadedAt}`,
    ...status.config.refused.map((problem) => `refused    ${problem}`),
  ]
  return lines.join('\n')
}

function loadLine({ inFlight, limit, pressure, refused }: LoadView): string {
  return `${inFlight} of ${limit} in flight at agents, pressure ${pressure.toFixed(2)}, ${refused} refused`
}
