import { type Command, InvalidArgumentError } from 'commander'
import type { AgentView, BanChangeView, BanView } from '../../admin/views.ts'
import type { AdminClient } from '../admin-client.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'

/** Commands that change something, and `bans`: `ban`, `unban`, `drain`, `undrain`. */
export function addChangeCommands(program: Command): void {
  withDaemon(program.command('bans'))
    .description('show which agents are banned')
    .option('--history [agent]', 'show instead who banned and lifted what, the newest first')
    .action(async (options: DaemonOptions & { readonly history?: string | true }) => {
      const daemon = await findDaemon(options)
      if (options.history !== undefined) {
        await printHistory(daemon, options.history === true ? '' : options.history, options.json === true)
        return
      }
      const bans = await daemon.call<BanView[]>('GET', '/v1/bans')
      print(options.json === true, bans, () =>
        bans.length === 0
          ? 'no bans'
          : table(bans, [
              ['AGENT', (ban) => ban.agent],
              ['SINCE', (ban) => ban.since],
              ['UNTIL', (ban) => ban.until ?? 'unban'],
              ['BY', (ban) => ban.author],
              ['REASON', (ban) => ban.reason],
            ]),
      )
    })

  withDaemon(program.command('ban'))
    .description('ban an agent; the ban is on disk when this returns')
    .argument('<agent>')
    .option('--reason <text>', 'why, for people', '')
    .option('--for <duration>', 'how long, for example 90s, 15m, 2h (default: until unban)', durationMs)
    .action(async (agent: string, options: DaemonOptions & { reason: string; for?: number }) => {
      const body = { agent, reason: options.reason, durationMs: options.for }
      const ban = await (await findDaemon(options)).call<BanView>('POST', '/v1/bans', body)
      print(options.json === true, ban, () => `${agent} is banned${ban.until ? ` until ${ban.until}` : ''}`)
    })

  withDaemon(program.command('unban'))
    .description('lift a ban')
    .argument('<agent>')
    .action(async (agent: string, options: DaemonOptions) => {
      const answer = await (await findDaemon(options)).call('DELETE', `/v1/bans/${encodeURIComponent(agent)}`)
      print(options.json === true, answer, () => `${agent} is not banned`)
    })

  withDaemon(program.command('drain'))
    .description('take an agent out of service: nothing new is sent, what is in flight ends')
    .argument('<agent>')
    .action(async (agent: string, options: DaemonOptions) => {
      const path = `/v1/agents/${encodeURIComponent(agent)}/drain`
      const view = await (await findDaemon(options)).call<AgentView>('POST', path)
      print(options.json === true, view, () => `${agent} is draining, ${view.inFlight} in flight`)
    })

  withDaemon(program.command('undrain'))
    .description('put a drained agent back into service')
    .argument('<agent>')
    .action(async (agent: string, options: DaemonOptions) => {
      const path = `/v1/agents/${encodeURIComponent(agent)}/drain`
      const view = await (await findDaemon(options)).call<AgentView>('DELETE', path)
      print(options.json === true, view, () => `${agent} is back in service`)
    })
}

async function printHistory(daemon: AdminClient, agent: string, isJson: boolean): Promise<void> {
  const query = agent === '' ? '' : `?agent=${encodeURIComponent(agent)}`
  const changes = await daemon.call<BanChangeView[]>('GET', `/v1/bans/history${query}`)
  print(isJson, changes, () =>
    changes.length === 0
      ? 'no bans so far'
      : table(changes, [
          ['AT', (change) => change.at],
          ['AGENT', (change) => change.agent],
          ['ACTION', (change) => change.action],
          ['UNTIL', (change) => change.until ?? ''],
          ['BY', (change) => change.author],
          ['REASON', (change) => change.reason],
        ]),
  )
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function durationMs(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  const value = Number(digits) * (UNIT_MS[unit ?? ''] ?? Number.NaN)
  if (!(value > 0)) throw new InvalidArgumentError('expected a duration such as 90s, 15m or 2h')
  return value
}
