import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { policyOf, poolSettingsOf } from '../../src/daemon/agents/settings.ts'
import { loadConfig } from '../../src/daemon/config/load.ts'
import { configJsonSchema } from '../../src/daemon/config/schema.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

/** As much of JSON Schema as the options of an agent use. */
interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly examples?: readonly unknown[]
}

/** Rate limits are a list of rules, which `test/daemon/config.test.ts` and the limiter's own tests hold. */
const ELSEWHERE = new Set(['limit', 'limits'])

/** What an option needs beside it; alone it is refused as one that does nothing. */
const BESIDE: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  flowWaitMs: { onPause: 'wait' },
  body: { events: ['request-headers', 'request-body'] },
}

/** A few values that the option may have; at least one of them is not its default. */
function valuesFor(schema: Schema): readonly unknown[] {
  if (schema.enum !== undefined) return schema.enum
  if (schema.type === 'array') return valuesFor(schema.items!).map((value) => [value])
  if (schema.type === 'boolean') return [true, false]
  if (schema.type !== 'number' && schema.type !== 'integer') return []
  const { minimum = 1, maximum = 1000 } = schema
  if (maximum <= 1) return [minimum, (minimum + maximum) / 2, maximum]
  /* Small ones, and one that is above the least of whatever pair the option belongs to. */
  return [Math.max(minimum, 3), 7, Math.min(maximum, 90_000)]
}

function* leaves(
  properties: Readonly<Record<string, Schema>>,
  path: string[] = [],
): Generator<[string[], Schema]> {
  for (const [name, schema] of Object.entries(properties)) {
    if (path.length === 0 && ELSEWHERE.has(name)) continue
    const here = [...path, name]
    if (schema.properties === undefined) yield [here, schema]
    else yield* leaves(schema.properties, here)
  }
}

/** What an agent's pool and its calls are made with, or why the file is refused. */
async function partsOf(t: TestContext, where: 'agents' | 'defaults', option: unknown): Promise<string> {
  const folder = await temporaryFolder(t)
  const shared = JSON.stringify(option)
  const agent =
    where === 'agents'
      ? shared.replace('{', '{ "endpoint": "grpc://127.0.0.1:1", ')
      : '{ endpoint: "grpc://127.0.0.1:1" }'
  const text = [
    'listen: { http: 127.0.0.1:0 }',
    `agents: { waf: ${agent.replace(', }', ' }')} }`,
    where === 'defaults' ? `defaults: ${shared}` : '',
    'routes: [{ match: { path: /* }, upstream: "http://127.0.0.1:1", agents: [waf] }]',
  ].join('\n')
  await writeFile(join(folder, 'weir.yaml'), text)
  const loaded = loadConfig(join(folder, 'weir.yaml'), {})
  if (!loaded.isValid) return `refused: ${loaded.problems.map(({ message }) => message).join()}`
  const [waf] = loaded.config.agents
  const { events, ...policy } = policyOf(waf!)
  return JSON.stringify([poolSettingsOf(waf!), policy, [...events], waf!.connectTimeoutMs])
}

test('no option of an agent is read and then ignored', async (t) => {
  const { properties } = configJsonSchema() as { properties: Record<string, Schema> }
  const options = [...leaves(properties['defaults']!.properties!)]
  assert.ok(options.length > 25, `${options.length} options were found`)
  for (const where of ['agents', 'defaults'] as const) {
    for (const [path, schema] of options) {
      const name = `${where}.${path.join('.')}`
      const values = valuesFor(schema)
      assert.ok(values.length > 0, `${name}: the test knows no value for it`)
      const beside = BESIDE[path[0]!] ?? {}
      const plain = await partsOf(t, where, beside)
      assert.doesNotMatch(plain, /^refused/)
      const outcomes: string[] = []
      for (const value of values) {
        const option = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)
        outcomes.push(await partsOf(t, where, { ...beside, ...(option as object) }))
      }
      const accepted = outcomes.filter((outcome) => !outcome.startsWith('refused'))
      assert.ok(accepted.length > 0, `${name}: ${outcomes[0]}`)
      assert.ok(
        accepted.some((outcome) => outcome !== plain),
        `${name} changes nothing`,
      )
    }
  }
})
