import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * Runs every compiled test file, or those whose path contains one of the arguments. Node 20's runner finds no
 * tests by glob, so the files are passed by name, and finding none is a failure.
 */
/** Files at once: many tests wait for processes and deadlines, so more than there are cores. */
const CONCURRENCY = Math.max(3, availableParallelism() + 1)

const root = dirname(fileURLToPath(import.meta.url))
const wanted = process.argv.slice(2).map((part) => part.replace(/^test\//, ''))
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .map((file) => join(root, file))
  .sort()
if (files.length === 0) {
  console.error(`no test file matches: ${wanted.join(' ') || '*.test.js'}`)
  process.exit(1)
}
const options = [
  '--enable-source-maps',
  '--test',
  `--test-concurrency=${CONCURRENCY}`,
  '--test-reporter=spec',
]
const child = spawn(process.execPath, [...options, ...files], { stdio: 'inherit' })
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
