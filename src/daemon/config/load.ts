import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { cautions } from './cautions.ts'
import type { Config } from './config.ts'
import { crossCheck } from './cross-check.ts'
import { type ConfigDocument, parseConfigDocument } from './document.ts'
import { problemsOf } from './issues.ts'
import { brokenPaths, isRelated, partialInputs } from './partial.ts'
import { type OptionPath, optionName, type Problem, type Report } from './problem.ts'
import { resolveReferences } from './references.ts'
import { resolveConfig } from './resolve.ts'
import { configSchema } from './schema.ts'

/** A configuration that may be used, or every mistake in it. */
export type LoadedConfig =
  | {
      readonly isValid: true
      readonly config: Config
      /** The file as written, references unresolved: safe to show after `redact`. */
      readonly document: ConfigDocument
      /** What is worth knowing although the file is valid. */
      readonly warnings: readonly Problem[]
    }
  | { readonly isValid: false; readonly problems: readonly Problem[] }

/** Reads, checks and completes a configuration file. Never throws for what the file says; reports it all at once. */
export function loadConfig(
  path: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): LoadedConfig {
  const file = resolve(path)
  const shown = displayName(file)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const message = `cannot read the configuration: ${(error as Error).message}`
    return { isValid: false, problems: [{ file: shown, line: 0, column: 0, option: '', message }] }
  }
  const document = parseConfigDocument(shown, text)
  if (!('value' in document)) return { isValid: false, problems: document }

  const placed = ({ option, message, of }: Finding): Problem => ({
    file: shown,
    ...document.position(option, of ?? 'value'),
    option: optionName(option),
    message,
  })
  const references = resolveReferences({ ...document, file }, environment)
  const problems = references.problems.map((problem) => ({ ...problem, file: shown }))
  const broken = new Set(problems.map((problem) => problem.option))
  const checked = configSchema.safeParse(references.value ?? {})
  if (!checked.success) {
    const found = problemsOf(checked.error.issues, document)
    /* An unresolved reference leaves a hole that the schema would complain about a second time. */
    problems.push(...found.filter((problem) => !broken.has(problem.option)))
    problems.push(
      ...beside(references.value, brokenPaths(checked.error.issues), file)
        .filter(({ option }) => !broken.has(optionName(option)))
        .map(placed),
    )
    return { isValid: false, problems: inFileOrder(problems) }
  }
  const report: Report = (option, message, of) => void problems.push(placed({ option, message, of }))
  crossCheck(checked.data, dirname(file), report)
  const config = resolveConfig(checked.data, file, dirname(file), references.files, report)
  if (problems.length > 0) return { isValid: false, problems: inFileOrder(problems) }
  const warnings: Problem[] = []
  cautions(checked.data, document, (option, message, of) =>
    warnings.push(placed({ option, message: `warning: ${message}`, of })),
  )
  return { isValid: true, config, document, warnings: inFileOrder(warnings) }
}

/** A problem that knows its option, not its place yet. */
interface Finding {
  readonly option: OptionPath
  readonly message: string
  readonly of: 'key' | undefined
}

/** What is wrong beside the broken options, as far as a file with mistakes can be understood. */
function beside(value: unknown, broken: readonly OptionPath[], file: string): Finding[] {
  const folder = dirname(file)
  const [first = [], second = first] = partialInputs(value, broken).map((input) => {
    const findings: Finding[] = []
    const report: Report = (option, message, of) => void findings.push({ option, message, of })
    crossCheck(input, folder, report)
    resolveConfig(input, file, folder, [], report)
    return findings
  })
  const known = new Set(second.map(({ option, message }) => `${optionName(option)}\n${message}`))
  /* Whether a route names an agent cannot be told while the agents themselves are not understood. */
  const isBlind = broken.some((path) => path[0] === 'agents' && path.length <= 2)
  return first.filter(
    ({ option, message }) =>
      known.has(`${optionName(option)}\n${message}`) &&
      !broken.some((path) => isRelated(path, option)) &&
      !(isBlind && option[0] === 'routes' && option[2] === 'agents'),
  )
}

/** Relative when that is shorter to read. */
function displayName(file: string): string {
  const near = relative(process.cwd(), file)
  return near === '' || near.startsWith('..') ? file : near
}

function inFileOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
}
