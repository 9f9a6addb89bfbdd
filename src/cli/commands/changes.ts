import type { Command } from 'commander'
import type { AgentView, ReloadView } from '../../admin/views.ts'
import { segment } from '../arguments.ts'
import { withExamples } from '../examples.ts'
import { EXIT } from '../exit-code.ts'
import { type DaemonOptions, findDaemon, withDaemon } from '../find-daemon.ts'
import { print } from '../output.ts'
import { printable } from '../printable.ts'

/** `drain`, `undrain`, `reload`. */
export function addChangeCommands(program: Command): void {
  const drain = withDaemon(program.command('drain'))
    .description('take an agent out of service: nothing new is sent, what is in flight ends')
    .argument('<agent>')
    .action(async (agent: string, options: DaemonOptions) => {
      const view = await (await findDaemon(options)).call<AgentView>('POST', drainOf(agent))
      print(options.json === true, view, () => `${agent} is draining, ${view.inFlight} in flight`)
    })
  withExamples(drain, 'weir drain waf')

  const undrain = withDaemon(program.command('undrain'))
    .description('put a drained agent back into service')
    .argument('<agent>')
    .action(async (agent: string, options: DaemonOptions) => {
      const view = await (await findDaemon(options)).call<AgentView>('DELETE', drainOf(agent))
      print(options.json === true, view, () => `${agent} is back in service`)
    })
  withExamples(undrain, 'weir undrain waf')

  const reload = withDaemon(program.command('reload'))
    .description(
      'read the configuration file again; exit 2 when it has mistakes, 1 when it cannot be put in force (the old one stays) or an agent refuses its own part',
    )
    .action(async (options: DaemonOptions) => {
      const view = await (await findDaemon(options)).call<ReloadView>('POST', '/v1/reload')
      print(options.json === true, view, () => reloadText(view))
      if (view.untaken.some(({ state }) => state === 'refused')) process.exitCode = EXIT.negative
    })
  withExamples(reload, 'weir check -c weir.yaml && weir reload -c weir.yaml')
}

function drainOf(agent: string): string {
  return `/v1/agents/${segment(agent)}/drain`
}

function reloadText({ file, pendingRestart, untaken }: ReloadView): string {
  const done =
    pendingRestart.length === 0
      ? `${file} is in force`
      : `${file} is in force, but for ${pendingRestart.join(', ')}: changes of these take effect at the next start only`
  const lines = untaken.map(({ agent, state, reason }) =>
    printable(`agent ${agent} goes on with its old configuration, the new one is ${state}: ${reason}`, true),
  )
  return [done, ...lines].join('\n')
}
