import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What begins a test: `node:test` itself, or the scenarios built on it. */
const CALL = /^[ \t]*(?:test|it|scenario)\(\s*(?=['"`])/gm
const COMMENT = /^[ \t]*\/\*[\s\S]*?\*\//gm

/** Titles of the tests that really run, by file below `folder` without its `.ts`; what is computed stands as `…`. */
export function testTitles(folder: string): Map<string, Set<string>> {
  const byFile = new Map<string, Set<string>>()
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    if (file.endsWith('.ts')) {
      const name = file.replace(/(\.test)?\.ts$/, '')
      byFile.set(name, titlesIn(readFileSync(join(folder, file), 'utf8')))
    }
  return byFile
}

/** Titles in one source text. A test that is skipped, a mere plan, or in a comment has none. */
export function titlesIn(text: string): Set<string> {
  const source = text.replace(COMMENT, '')
  const titles = new Set<string>()
  if (/^\s*describe(\.(skip|todo)\(|\([^\n]*\b(skip|todo):)/m.test(source)) return titles
  for (const { index, 0: call } of source.matchAll(CALL)) {
    const begin = index + call.length
    const end = endOfText(source, begin)
    const behind = source.slice(end, source.indexOf('=>', end))
    if (/^\s*\)|\b(skip|todo)\b/.test(behind)) continue
    titles.add(shown(source.slice(begin + 1, end - 1)))
  }
  return titles
}

/** Index behind the closing quote of the literal that begins at `begin`. */
function endOfText(source: string, begin: number): number {
  const quote = source[begin]!
  let depth = 0
  for (let at = begin + 1; at < source.length; at++) {
    const character = source[at]!
    if (character === '\\') at++
    else if (quote === '`' && source.startsWith('${', at)) depth++
    else if (depth > 0 && character === '}') depth--
    else if (depth === 0 && character === quote) return at + 1
  }
  throw new Error(`a text that begins at ${begin} never ends`)
}

function shown(literal: string): string {
  return literal.replace(/\$\{[^}]*\}/g, '…').replace(/\\(.)/g, '$1')
}
