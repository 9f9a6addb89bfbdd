import type { Command } from 'commander'
import { type LoadedConfig, loadConfig } from '../../daemon/config/load.ts'
import { formatProblem, type Problem } from '../../daemon/config/problem.ts'
import { redact } from '../../daemon/config/redact.ts'
import { configJsonSchema } from '../../daemon/config/schema.ts'
import { toYaml } from '../../daemon/config/yaml-text.ts'
import { EXIT } from '../exit-code.ts'
import { print } from '../output.ts'

interface FileOptions {
  readonly config: string
  readonly json?: boolean
}

/** `config show` and `config schema`: about the file, not the daemon. */
export function addConfigCommands(program: Command): void {
  const config = program.command('config').description('about the configuration file')

  config
    .command('show')
    .description('print the configuration with secrets hidden')
    .option('-c, --config <file>', 'configuration file', 'weir.yaml')
    .option('--json', 'print JSON')
    .action((options: FileOptions) => {
      const loaded = loadValid(options)
      if (loaded === undefined) return
      const shown = redact(loaded.document)
      print(options.json === true, shown, () => toYaml(shown).trimEnd())
    })

  config
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .option('--json', 'print JSON (it always is)')
    .action(() => print(true, configJsonSchema(), String))
}

/** The configuration, or undefined after its problems were printed and the exit code was set. */
export function loadValid(options: FileOptions): (LoadedConfig & { readonly isValid: true }) | undefined {
  const loaded = loadConfig(options.config)
  if (loaded.isValid) return loaded
  printProblems(options.json === true, loaded.problems)
  return undefined
}

export function printProblems(isJson: boolean, problems: readonly Problem[]): void {
  if (isJson) print(true, { isValid: false, problems }, String)
  else for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`)
  process.exitCode = EXIT.usage
}
