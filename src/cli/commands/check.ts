import type { Command } from 'commander'
import { withExamples } from '../examples.ts'
import { EXIT } from '../exit-code.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'
import { complain, loadValid } from './config.ts'

interface CheckOptions {
  readonly config: string
  readonly connect?: boolean
  readonly json?: boolean
}

/** `check`: the same code path as start and reload, without starting. */
export function addCheckCommand(program: Command): void {
  const check = program
    .command('check')
    .description('check the configuration; exit 2 when it is wrong, 1 when an agent cannot be reached')
    .option('-c, --config <file>', 'configuration file', 'weir.yaml')
    .option('--connect', 'dial every agent and show what it announces')
    .option('--json', 'print JSON')
    .action(async (options: CheckOptions) => {
      const loaded = await loadValid(options)
      if (loaded === undefined) return
      const { config, warnings } = loaded
      if (options.json !== true) complain(warnings)
      const { checkAgents } = await import('../../daemon/check-agents.ts')
      const agents = options.connect === true ? await checkAgents(config) : []
      const isReachable = agents.every((agent) => agent.isOk)
      if (!isReachable) process.exitCode = EXIT.negative
      print(options.json === true, { isValid: true, warnings, agents }, () => {
        const summary = `${options.config} is valid: ${config.agents.length} agents, ${config.routes.length} routes`
        if (agents.length === 0) return summary
        const rows = table(agents, [
          ['AGENT', (agent) => agent.name],
          ['ENDPOINT', (agent) => agent.endpoint],
          ['RESULT', (agent) => (agent.isOk ? 'ok' : 'failed')],
          ['DETAIL', (agent) => agent.detail],
        ])
        return `${summary}\n${rows}`
      })
    })
  withExamples(check, 'weir check -c weir.yaml --connect')
}
