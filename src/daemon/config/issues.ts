import type { z } from 'zod'
import type { ConfigDocument } from './document.ts'
import { GOT } from './fields.ts'
import { type OptionPath, optionName, type Problem } from './problem.ts'
import { configJsonSchema } from './schema.ts'
import { suggest } from './suggest.ts'

type Issue = z.core.$ZodIssue

/** Turns what the schema found into problems: one per mistake, with its place and the value as written. */
export function problemsOf(issues: readonly Issue[], document: ConfigDocument): Problem[] {
  const schema = configJsonSchema()
  return issues.flatMap((issue) => problemsOfIssue(issue, [], document, schema))
}

function problemsOfIssue(
  issue: Issue,
  prefix: OptionPath,
  document: ConfigDocument,
  schema: unknown,
): Problem[] {
  const path = [...prefix, ...(issue.path as (string | number)[])]
  const { file } = document
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path)
    return issue.keys.map((key) => {
      const near = suggest(key, known)
      const hint = near === undefined ? `known: ${known.join(', ')}` : `did you mean ${near}?`
      const option = [...path, key]
      return {
        file,
        ...document.position(option, 'key'),
        option: optionName(option),
        message: `unknown option; ${hint}`,
      }
    })
  }
  if (issue.code === 'invalid_union') {
    const value = valueAt(document.value, path)
    const branch = issue.errors.find((errors) => !errors.some(isAboutTheTypeItself))
    if (branch !== undefined && value !== null && typeof value === 'object')
      return branch.flatMap((inner) => problemsOfIssue(inner, path, document, schema))
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? issue.message
    return [{ file, ...document.position(path, 'key'), option: optionName(path), message }]
  }
  const written = valueAt(document.value, path)
  return [
    {
      file,
      ...document.position(path, written === undefined ? 'key' : 'value'),
      option: optionName(path),
      message: issue.message.replace(GOT, describe(written)),
    },
  ]
}

function isAboutTheTypeItself(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code === 'invalid_type'
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function valueAt(value: unknown, path: OptionPath): unknown {
  let at = value
  for (const step of path) {
    if (at === null || typeof at !== 'object') return undefined
    at = (at as Record<string, unknown>)[String(step)]
  }
  return at
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: SchemaNode | boolean
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
}

/** Option names that the schema knows at a path. */
function keysAt(schema: unknown, path: OptionPath): string[] {
  let node = schema as SchemaNode
  for (const step of path) {
    const mapping = node.anyOf?.find((branch) => branch.properties !== undefined) ?? node
    const next =
      typeof step === 'number'
        ? mapping.items
        : (mapping.properties?.[step] ??
          (typeof mapping.additionalProperties === 'object' ? mapping.additionalProperties : undefined))
    if (next === undefined) return []
    node = next
  }
  const mapping = node.anyOf?.find((branch) => branch.properties !== undefined) ?? node
  return Object.keys(mapping.properties ?? {})
}
