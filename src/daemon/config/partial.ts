import type { OptionPath } from './problem.ts'
import { type ConfigInput, configJsonSchema, configSchema } from './schema.ts'

/** Rounds of taking away what is wrong: each mistake may uncover another above it. */
const MOST_ROUNDS = 20

/**
 * What a file says beside its mistakes, so that what no single option can tell is checked too: once without the broken
 * options, once with an example in the place of each. A problem that both show has nothing to do with the mistakes: the
 * one lacks nothing that was meant, the other has nothing that was not. Empty when nothing sensible is left.
 */
export function partialInputs(value: unknown, broken: readonly OptionPath[]): readonly ConfigInput[] {
  const without = understood(value, broken, () => undefined)
  const withExamples = understood(value, broken, exampleOf)
  if (without === undefined) return []
  return withExamples === undefined ? [without] : [without, withExamples]
}

function understood(
  value: unknown,
  broken: readonly OptionPath[],
  substitute: (path: OptionPath) => unknown,
): ConfigInput | undefined {
  const copy = structuredClone(value)
  const seen = new Set<string>()
  let paths = broken
  for (let round = 0; round < MOST_ROUNDS && paths.length > 0; round++) {
    for (const path of paths) {
      /* An option that stays wrong, or a missing one, takes what holds it along. */
      const target = nearestUnseen(path, seen)
      if (target.length === 0) return undefined
      put(copy, target, substitute(target))
      seen.add(JSON.stringify(target))
    }
    const checked = configSchema.safeParse(copy)
    if (checked.success) return checked.data
    paths = brokenPaths(checked.error.issues)
  }
  return undefined
}

/** Where the schema found something wrong. */
export function brokenPaths(
  issues: readonly {
    readonly code: string
    readonly path: readonly PropertyKey[]
    readonly keys?: readonly string[]
  }[],
): OptionPath[] {
  return issues.flatMap((issue) => {
    const path = issue.path as OptionPath
    return issue.code === 'unrecognized_keys' ? (issue.keys ?? []).map((key) => [...path, key]) : [path]
  })
}

/** Whether one of the paths leads to the other, or they are the same. */
export function isRelated(one: OptionPath, other: OptionPath): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one]
  return short.every((step, index) => String(step) === String(long[index]))
}

/** The path itself, or the nearest of its parents that was not dealt with yet. */
function nearestUnseen(path: OptionPath, seen: ReadonlySet<string>): OptionPath {
  let target = path
  while (target.length > 0 && seen.has(JSON.stringify(target))) target = target.slice(0, -1)
  return target
}

function put(root: unknown, path: OptionPath, value: unknown): void {
  let holder = root
  for (const step of path.slice(0, -1)) {
    if (holder === null || typeof holder !== 'object') return
    holder = (holder as Record<string, unknown>)[String(step)]
  }
  const last = path.at(-1)
  if (holder === null || typeof holder !== 'object' || last === undefined) return
  if (value !== undefined) (holder as Record<string, unknown>)[String(last)] = value
  else if (Array.isArray(holder)) {
    /* Those behind it would take other places, and problems would be told of the wrong one. */
    holder.length = Math.min(holder.length, Number(last))
  } else delete (holder as Record<string, unknown>)[String(last)]
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: SchemaNode | boolean
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly examples?: readonly unknown[]
}

/** The example that the schema gives of an option. */
function exampleOf(path: OptionPath): unknown {
  let node: SchemaNode | undefined = configJsonSchema()
  for (const step of path) {
    const mapping: SchemaNode | undefined =
      typeof step === 'number'
        ? node
        : (node.anyOf?.find((branch) => branch.properties !== undefined) ?? node)
    node =
      typeof step === 'number'
        ? mapping?.items
        : (mapping?.properties?.[step] ??
          (typeof mapping?.additionalProperties === 'object' ? mapping.additionalProperties : undefined))
    if (node === undefined) return undefined
  }
  return firstExample(node)
}

/** Of a list: one of its entries. */
function firstExample(node: SchemaNode): unknown {
  const own = node.examples ?? node.anyOf?.find((branch) => branch.examples !== undefined)?.examples
  if (own !== undefined) return own[0]
  const item = node.items === undefined ? undefined : firstExample(node.items)
  return item === undefined ? undefined : [item]
}
