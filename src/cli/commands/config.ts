import type { Command } from 'commander'
import type { LoadedConfig } from '../../daemon/config/load.ts'
import { formatProblem, type Problem } from '../../daemon/config/problem.ts'
import { withExamples } from '../examples.ts'
import { EXIT } from '../exit-code.ts'
import { print } from '../output.ts'

interface FileOptions {
  readonly config: string
  readonly json?: boolean
}

/** `config show` and `config schema`: about the file, not the daemon. */
export function addConfigCommands(program: Command): void {
  const config = program.command('config').description('about the configuration file')
  withExamples(config, 'weir config show -c weir.yaml', 'weir config schema')

  const show = config
    .command('show')
    .description('print the configuration with secrets hidden')
    .option('-c, --config <file>', 'configuration file', 'weir.yaml')
    .option('--layers', 'print the layers around a call to each agent instead, outermost first')
    .option('--json', 'print JSON')
    .action(async (options: FileOptions & { readonly layers?: boolean }) => {
      const loaded = await loadValid(options)
      if (loaded === undefined) return
      if (options.layers === true) {
        const { layersOf } = await import('../../daemon/layers.ts')
        const layers = layersOf(loaded.config)
        print(options.json === true, layers, () =>
          layers.map(({ agent, layers }) => `${agent}: ${layers.join(' > ')}`).join('\n'),
        )
        return
      }
      const { redact } = await import('../../daemon/config/redact.ts')
      const { toYaml } = await import('../../daemon/config/yaml-text.ts')
      const shown = redact(loaded.document)
      print(options.json === true, shown, () => toYaml(shown).trimEnd())
    })

  withExamples(show, 'weir config show -c weir.yaml', 'weir config show --layers')

  const schema = config
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .option('--json', 'print JSON (it always is)')
    .action(async () => {
      const { configJsonSchema } = await import('../../daemon/config/schema.ts')
      print(true, configJsonSchema(), String)
    })
  withExamples(schema, 'weir config schema > weir.schema.json')
}

/** The configuration, or undefined after its problems were printed and the exit code was set. */
export async function loadValid(
  options: FileOptions,
): Promise<(LoadedConfig & { readonly isValid: true }) | undefined> {
  const { loadConfig } = await import('../../daemon/config/load.ts')
  const loaded = loadConfig(options.config)
  if (loaded.isValid) return loaded
  printProblems(options.json === true, loaded.problems)
  return undefined
}

export function printProblems(isJson: boolean, problems: readonly Problem[]): void {
  if (isJson) print(true, { isValid: false, problems }, String)
  else complain(problems)
  process.exitCode = EXIT.usage
}

export function complain(problems: readonly Problem[]): void {
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`)
}
