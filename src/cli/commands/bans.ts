import { userInfo } from 'node:os'
import type { Command } from 'commander'
import type { BanChangeView, BanView, UnbanView } from '../../admin/views.ts'
import type { AdminClient } from '../admin-client.ts'
import { durationMs, queryOf, segment, wholeNumber } from '../arguments.ts'
import { withExamples } from '../examples.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print } from '../output.ts'
import { type Column, table } from '../table.ts'

/** Shown only while there is a ban that is lost with the daemon. */
const ON_DISK: Column<BanView> = ['ON DISK', (ban) => (ban.isWritten ? 'yes' : 'not on disk yet')]

interface ChangeOptions extends DaemonOptions {
  readonly reason: string
  readonly author: string
}

/** `bans`, `ban`, `unban`. */
export function addBanCommands(program: Command): void {
  const bans = withDaemon(program.command('bans'))
    .description('show which agents are banned')
    .option('--history [agent]', 'show instead who banned and lifted what, the newest first')
    .option('--limit <count>', 'lines of the history, at most 1000', wholeNumber(1, 1000), 100)
    .action(async (options: DaemonOptions & { readonly history?: string | true; readonly limit: number }) => {
      const daemon = await findDaemon(options)
      if (options.history === undefined) await printBans(daemon, options.json === true)
      else {
        const agent = options.history === true ? undefined : options.history
        await printHistory(daemon, queryOf({ agent, limit: options.limit }), options.json === true)
      }
    })
  withExamples(bans, 'weir bans', 'weir bans --history waf --limit 20')

  const ban = withDaemon(program.command('ban'))
    .description('ban an agent; the ban is on disk when this returns')
    .argument('<agent>')
    .option('--for <duration>', 'how long, for example 90s, 15m, 2h (default: until unban)', durationMs)
  withReason(ban).action(async (agent: string, options: ChangeOptions & { readonly for?: number }) => {
    const { reason, author } = options
    const body = { agent, reason, author, durationMs: options.for }
    const made = await (await findDaemon(options)).call<BanView>('POST', '/v1/bans', body)
    print(options.json === true, made, () => `${agent} is banned${made.until ? ` until ${made.until}` : ''}`)
  })
  withExamples(ban, 'weir ban waf --for 15m --reason "blocks the checkout, INC-4711"')

  const unban = withDaemon(program.command('unban')).description('lift a ban').argument('<agent>')
  withReason(unban).action(async (agent: string, options: ChangeOptions) => {
    const { reason, author } = options
    const daemon = await findDaemon(options)
    const answer = await daemon.call<UnbanView>('DELETE', `/v1/bans/${segment(agent)}`, { reason, author })
    print(options.json === true, answer, () =>
      answer.wasBanned ? `ban of ${agent} lifted` : `${agent} was not banned`,
    )
  })
  withExamples(unban, 'weir unban waf --reason "fixed in 3.2.1"')
}

function withReason(command: Command): Command {
  return command
    .option('--reason <text>', 'why, for the history', '')
    .option('--author <name>', 'who decides, for the history', localUser())
}

async function printBans(daemon: AdminClient, isJson: boolean): Promise<void> {
  const bans = await daemon.call<BanView[]>('GET', '/v1/bans')
  print(isJson, bans, () =>
    bans.length === 0
      ? 'no bans'
      : table(bans, [
          ['AGENT', (ban) => ban.agent],
          ['SINCE', (ban) => ban.since],
          ['UNTIL', (ban) => ban.until ?? 'unban'],
          ['BY', (ban) => ban.author],
          ...(bans.every((ban) => ban.isWritten) ? [] : [ON_DISK]),
          ['REASON', (ban) => ban.reason],
        ]),
  )
}

async function printHistory(daemon: AdminClient, query: string, isJson: boolean): Promise<void> {
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

/** Empty where the system has no name for the user, as in containers: the daemon then notes where the call came from. */
function localUser(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}
