import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Lowest layer first. A folder imports lower layers only; folders of one layer never import each other. */
const LAYERS: readonly (readonly string[])[] = [
  ['core'],
  ['wire', 'policy', 'store'],
  ['transport'],
  ['pool', 'sdk'],
  ['proxy', 'coordination'],
  ['frontend', 'admin', 'telemetry'],
  ['daemon'],
  ['cli'],
]

/** Packages, and the parts of Node that reach the network, with the only folders that may import them. */
const SOLE_IMPORTERS: Readonly<Record<string, readonly string[]>> = {
  '@grpc/proto-loader': ['wire'],
  msgpackr: ['wire'],
  'better-sqlite3': ['store'],
  '@grpc/grpc-js': ['transport'],
  'node:net': ['transport', 'frontend'],
  'node:tls': ['transport', 'frontend'],
  /* Our own frames are in transport/h2. */
  'node:http2': [],
  'node:http': ['frontend', 'admin', 'cli'],
  'node:https': ['frontend'],
  'generic-pool': ['pool'],
  undici: ['frontend'],
  pino: ['telemetry'],
  '@opentelemetry/api': ['telemetry'],
  'prom-client': ['telemetry'],
  yaml: ['daemon'],
  zod: ['daemon'],
  commander: ['cli'],
}

/** Packages that one single file hides. */
const ONE_FILE_ONLY = ['generic-pool']

/** Lines per file. */
const HARD_LINES = 450
const MEDIAN_LINES = 150

interface SourceFile {
  /** Relative to `src`, with `/`. */
  readonly path: string
  readonly folder: string
  readonly lines: number
  readonly imports: readonly string[]
  /** Without `import type`, which leaves nothing behind at run time. */
  readonly runtimeImports: readonly string[]
}

const root = projectRoot(dirname(fileURLToPath(import.meta.url)))
const source = join(root, 'src')
const files = readSources()

/** The nearest folder above the compiled test that has the sources. */
function projectRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from
  const parent = dirname(from)
  if (parent === from) throw new Error('no package.json above the test')
  return projectRoot(parent)
}

function readSources(): SourceFile[] {
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => {
      const text = readFileSync(join(source, path), 'utf8')
      const parts = path.split(sep)
      return {
        path: parts.join('/'),
        folder: parts.length > 1 ? parts[0]! : '',
        lines: text.split('\n').length - 1,
        imports: importsOf(text),
        runtimeImports: importsOf(
          text.replace(/^\s*(?:import|export)\s+type\b[^'";]*?\bfrom\s*'[^']+'/gm, ''),
        ),
      }
    })
}

function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const statement =
    /^\s*(?:import|export)\b[^'";]*?\bfrom\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm
  return [...code.matchAll(statement)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

/** `src`-relative path that a relative import names, or undefined for a package. */
function target(file: SourceFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return relative(source, resolve(source, dirname(file.path), specifier))
    .split(sep)
    .join('/')
}

function packageOf(specifier: string): string {
  if (builtinModules.includes(specifier)) return `node:${specifier}`
  if (specifier.startsWith('node:')) return specifier.split('/')[0]!
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function layerOf(folder: string): number {
  return LAYERS.findIndex((layer) => layer.includes(folder))
}

test('the sources were found and their imports were read', () => {
  assert.ok(files.length > 50, `${files.length} files`)
  const daemon = files.filter((file) => file.folder === 'daemon')
  assert.ok(daemon.some((file) => file.imports.includes('yaml') || file.imports.includes('zod')))
  assert.deepEqual(
    importsOf("import {\n  a,\n} from './x.ts'\nexport type { B } from 'b'\n// import 'c'\n"),
    ['./x.ts', 'b'],
  )
})

test('every folder of src has its place in the table of layers', () => {
  const folders = new Set(files.map((file) => file.folder).filter((folder) => folder !== ''))
  assert.deepEqual(
    [...folders].filter((folder) => layerOf(folder) < 0),
    [],
  )
})

test('no folder imports a higher layer or a neighbour', () => {
  const broken: string[] = []
  for (const file of files) {
    if (file.folder === '') continue
    for (const specifier of file.imports) {
      const path = target(file, specifier)
      if (path === undefined) continue
      const folder = path.split('/')[0]!
      if (path.startsWith('..')) broken.push(`${file.path} leaves src: ${specifier}`)
      else if (folder !== file.folder && layerOf(folder) >= layerOf(file.folder))
        broken.push(`${file.path} (${file.folder}) imports ${path}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('each package has the importers of the table and no others', () => {
  const broken: string[] = []
  for (const file of files) {
    for (const specifier of file.imports) {
      if (specifier.startsWith('.')) continue
      const name = packageOf(specifier)
      const allowed = SOLE_IMPORTERS[name]
      if (allowed === undefined && !name.startsWith('node:'))
        broken.push(`${file.path} imports ${name}, which is not in the table`)
      if (allowed !== undefined && !allowed.includes(file.folder)) broken.push(`${file.path} imports ${name}`)
    }
  }
  assert.deepEqual(broken, [])
  for (const name of ONE_FILE_ONLY) {
    const importers = files.filter((file) => file.imports.includes(name)).map((file) => file.path)
    assert.ok(importers.length <= 1, `${name} is imported by ${importers.join(', ')}`)
  }
})

test('imports that exist at run time form no cycle', () => {
  const edges = new Map(
    files.map((file) => [
      file.path,
      file.runtimeImports.flatMap((specifier) => target(file, specifier) ?? []),
    ]),
  )
  const done = new Set<string>()
  function visit(path: string, trail: readonly string[]): void {
    if (done.has(path)) return
    if (trail.includes(path))
      assert.fail(`cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`)
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const file of files) visit(file.path, [])
})

test(`no file is longer than ${HARD_LINES} lines, and half of them have at most ${MEDIAN_LINES}`, (t) => {
  assert.deepEqual(
    files.filter((file) => file.lines > HARD_LINES).map((file) => `${file.path}: ${file.lines}`),
    [],
  )
  const lengths = files.map((file) => file.lines).toSorted((a, b) => a - b)
  const median = lengths[Math.floor(lengths.length / 2)]!
  t.diagnostic(`${files.length} files, median ${median} lines, longest ${lengths.at(-1)}`)
  assert.ok(median <= MEDIAN_LINES, `median ${median}`)
})

test('every folder of src says in a README what lives in it', () => {
  const missing = readdirSync(source, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !existsSync(join(source, entry.name, 'README.md')))
    .map((entry) => entry.name)
  assert.deepEqual(missing, [])
})
