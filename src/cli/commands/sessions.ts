import type { Command } from 'commander'
import type { SessionPageView, SessionsView, SessionView } from '../../admin/views.ts'
import { queryOf, segment, wholeNumber } from '../arguments.ts'
import { withExamples } from '../examples.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'
import { shortTime } from '../times.ts'

interface ListOptions extends DaemonOptions {
  readonly key?: string
  readonly page: number
  readonly limit: number
  readonly reveal?: boolean
}

/** `sessions`: how many, which, one; `sessions create` and `sessions clear`. */
export function addSessionCommands(program: Command): void {
  const sessions = withDaemon(program.command('sessions'))
    .description('show sticky sessions; looking does not prolong them')
    .argument('[agent]', 'list those of this agent, the last used first (default: how many each agent has)')
    .option('--key <key>', 'this one only; exit 1 when there is none')
    .option('--page <number>', 'page of the list', wholeNumber(1, 100_000), 1)
    .option('--limit <count>', 'sessions per page, at most 1000', wholeNumber(1, 1000), 50)
    .option('--reveal', 'show keys in full although they may be credentials; leaves an audit line')
    .enablePositionalOptions()
    .action(async (agent: string | undefined, options: ListOptions) => {
      if (agent !== undefined && options.key !== undefined) await printOne(agent, options.key, options)
      else if (agent !== undefined) await printPage(agent, options)
      else if (options.key === undefined) await printCounts(options)
      else sessions.error('error: --key needs an agent; example: weir sessions waf --key u-17')
    })
  withExamples(
    sessions,
    'weir sessions',
    'weir sessions waf --page 2 --limit 100',
    'weir sessions waf --key u-17',
    'weir sessions clear waf u-17',
  )

  const create = withDaemon(sessions.command('create'))
    .description('pin a session key to a connection of an agent; a session that is there moves')
    .argument('<agent>')
    .argument('<key>')
    .option(
      '--connection <id>',
      'connection to pin it to, see weir connections (default: the one with the fewest events in flight)',
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .action(async (agent: string, key: string, options: DaemonOptions & { readonly connection?: number }) => {
      const body = { key, connection: options.connection }
      const session = await (await findDaemon(options)).call<SessionView>('POST', pathOf(agent), body)
      print(
        options.json === true,
        session,
        () => `${session.key} goes to connection ${session.connection} of ${agent} (${session.home})`,
      )
    })
  withExamples(create, 'weir sessions create waf u-17 --connection 3')

  const clear = withDaemon(sessions.command('clear'))
    .description('end a session, so that its next request goes anywhere; exit 1 when there is none')
    .argument('<agent>')
    .argument('[key]')
    .option('--all', 'end every session of the agent')
    .action(
      async (agent: string, key: string | undefined, options: DaemonOptions & { readonly all?: boolean }) => {
        if ((key === undefined) === (options.all !== true))
          clear.error('error: give the key of one session, or --all; example: weir sessions clear waf u-17')
        const daemon = await findDaemon(options)
        const path = key === undefined ? pathOf(agent) : `${pathOf(agent)}/${segment(key)}`
        const answer = await daemon.call<{ readonly cleared: number }>('DELETE', path)
        if (key !== undefined && answer.cleared === 0) process.exitCode = 1
        print(options.json === true, answer, () => `${answer.cleared} sessions of ${agent} ended`)
      },
    )
  withExamples(clear, 'weir sessions clear waf u-17', 'weir sessions clear waf --all')
}

function pathOf(agent: string): string {
  return `/v1/agents/${segment(agent)}/sessions`
}

async function printCounts(options: ListOptions): Promise<void> {
  const view = await (await findDaemon(options)).call<SessionsView>('GET', '/v1/sessions')
  print(options.json === true, view, () =>
    view.agents.length === 0
      ? 'no agent keeps sessions'
      : table(view.agents, [
          ['AGENT', (agent) => agent.agent],
          ['SESSIONS', (agent) => agent.sessions],
          ['AT MOST', (agent) => agent.maxSessions],
          ['END AFTER', (agent) => (agent.idleTtlMs === 0 ? 'never' : shortTime(agent.idleTtlMs))],
        ]),
  )
}

async function printPage(agent: string, options: ListOptions): Promise<void> {
  const { limit, page, reveal } = options
  const offset = (page - 1) * limit
  const path = `${pathOf(agent)}${queryOf({ limit, offset, reveal })}`
  const view = await (await findDaemon(options)).call<SessionPageView>('GET', path)
  print(options.json === true, view, () => {
    if (view.sessions.length === 0)
      return view.total === 0
        ? `${agent} has no sessions`
        : `no page ${page}: ${agent} has ${view.total} sessions`
    const pages = Math.ceil(view.total / limit)
    const more = pages > 1 ? `\npage ${page} of ${pages}, ${view.total} sessions` : ''
    return `${sessionTable(view.sessions)}${more}`
  })
}

async function printOne(agent: string, key: string, options: ListOptions): Promise<void> {
  const path = `${pathOf(agent)}/${segment(key)}${queryOf({ reveal: options.reveal })}`
  const session = await (await findDaemon(options)).call<SessionView>('GET', path)
  print(options.json === true, session, () => sessionTable([session]))
}

function sessionTable(sessions: readonly SessionView[]): string {
  return table(sessions, [
    ['KEY', (session) => session.key],
    ['CONNECTION', (session) => (session.connection === 0 ? '-' : session.connection)],
    ['IDLE', (session) => shortTime(session.idleMs)],
    ['AGE', (session) => shortTime(session.ageMs)],
    ['HOME', (session) => session.home],
  ])
}
