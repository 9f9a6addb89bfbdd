import { parseArgs } from 'node:util'
import { BENCHES } from './benches.ts'
import { compareRevisions } from './compare.ts'
import { printJson, printTable, saveResult } from './harness/report.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
})

const [first, ...rest] = positionals
if (first === 'compare') {
  await compareRevisions(rest)
} else {
  const names = first === undefined ? Object.keys(BENCHES) : positionals
  for (const name of names) {
    const load = BENCHES[name]
    if (load === undefined) {
      console.error(
        `no benchmark "${name}"; there are: ${Object.keys(BENCHES).join(', ')}, compare <revision> [name]`,
      )
      process.exit(2)
    }
    const bench = await load()
    const result = await bench.run({ quick: values.quick })
    printTable(result)
    if (!values.quick) saveResult(result)
    if (values.json) printJson(result)
  }
}
process.exit(0)
