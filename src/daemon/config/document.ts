import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml'
import { type OptionPath, optionName, type Problem } from './problem.ts'

/** A parsed YAML file that still knows where each value stands. */
export interface ConfigDocument {
  readonly file: string
  /** As written, references like `${env:NAME}` unresolved. */
  readonly value: unknown
  /** Line and column of the value at `path`; of its key, when `of` asks; of the nearest parent otherwise. */
  position(path: OptionPath, of?: 'key' | 'value'): { readonly line: number; readonly column: number }
}

/** Parses YAML text. Syntax errors and duplicate keys are problems with their positions. */
export function parseConfigDocument(file: string, text: string): ConfigDocument | readonly Problem[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true })
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  if (document.errors.length > 0)
    return document.errors.map(({ code, message, pos: [offset] }) => {
      const option = code === 'DUPLICATE_KEY' ? optionAt(document, offset) : ''
      const told = option === '' ? message : `is given twice (${message}); remove one`
      return { file, ...at(offset), option, message: told }
    })
  let value: unknown
  try {
    value = document.toJS()
  } catch (error) {
    return [{ file, line: 1, column: 1, option: '', message: (error as Error).message }]
  }
  return { file, value, position: (path, of = 'value') => at(offsetOf(document, path, of)) }
}

/** The option whose key stands at an offset; empty when none does. */
function optionAt(document: Document, offset: number): string {
  let found = ''
  visit(document, {
    Pair(_, pair, parents) {
      if (!isScalar(pair.key) || pair.key.range?.[0] !== offset) return undefined
      found = optionName(keysTo([...parents, pair]))
      return visit.BREAK
    },
  })
  return found
}

/** The keys and positions that lead along nested nodes. */
function keysTo(nodes: readonly unknown[]): OptionPath {
  return nodes.flatMap((node, depth): (string | number)[] => {
    if (isPair(node) && isScalar(node.key)) return [String(node.key.value)]
    return isSeq(node) ? [node.items.indexOf(nodes[depth + 1])] : []
  })
}

function offsetOf(document: Document, path: OptionPath, of: 'key' | 'value'): number {
  let node = document.contents as Node | null
  let offset = node?.range?.[0] ?? 0
  for (const [depth, step] of path.entries()) {
    const parent = follow(document, node)
    const isLast = depth === path.length - 1
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step))
      if (pair === undefined) return offset
      const key = pair.key as Node
      node = pair.value as Node | null
      const wantsKey = (isLast && of === 'key') || node === null
      offset = (wantsKey ? key.range?.[0] : (node?.range?.[0] ?? key.range?.[0])) ?? offset
      /* A block collection starts at its first inner key; its own key says better what is meant. */
      if (isLast && (isMap(node) || isSeq(node))) offset = key.range?.[0] ?? offset
    } else if (isSeq(parent)) {
      node = (parent.items[Number(step)] as Node | undefined) ?? null
      if (node === null) return offset
      offset = node.range?.[0] ?? offset
    } else return offset
  }
  return offset
}

function follow(document: Document, node: Node | null): Node | null {
  return isAlias(node) ? ((node as Alias).resolve(document) ?? null) : node
}
