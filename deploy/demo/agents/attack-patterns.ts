/** Rounds of percent decoding: attackers encode twice to pass filters that decode once. */
const DECODE_ROUNDS = 3

const RULES: readonly (readonly [id: string, pattern: RegExp])[] = [
  ['xss-script-tag', /<\s*\/?\s*script\b/],
  ['xss-javascript-url', /javascript\s*:/],
  ['xss-event-handler', /<[^>]*\bon(?:error|load|click|focus|mouseover|toggle)\s*=/],
  ['sqli-tautology', /['"`)]\s*(?:or|and)\s+\(?['"`]?\w+['"`]?\s*(?:=|<|>|like\b|is\b)/],
  ['sqli-numeric-tautology', /\b(?:or|and)\s+(\d+)\s*=\s*\1\b/],
  ['sqli-union', /\bunion\s+(?:all\s+|distinct\s+)?select\b/],
  ['sqli-stacked', /;\s*(?:drop|delete|insert|update|alter|truncate|exec)\s+\w/],
  ['sqli-comment', /['"`]\s*(?:--|#|;)/],
]

/** Ids of the rules that a text breaks. `isForm`: plus signs mean spaces, as in queries and forms. */
export function attacksIn(text: string, isForm: boolean): readonly string[] {
  const normal = normalize(text, isForm)
  return RULES.filter(([, pattern]) => pattern.test(normal)).map(([id]) => id)
}

/** What the server behind us may end up reading: decoded, lower case, comments and runs of blanks as one blank. */
function normalize(text: string, isForm: boolean): string {
  let decoded = isForm ? text.replaceAll('+', ' ') : text
  for (let round = 0; round < DECODE_ROUNDS; round++) {
    const next = decodePercent(decoded)
    if (next === decoded) break
    decoded = isForm ? next.replaceAll('+', ' ') : next
  }
  return decoded
    .normalize('NFKC')
    .replace(/\/\*.*?\*\//gs, ' ')
    .replace(/[\s\0]+/g, ' ')
    .toLowerCase()
}

/** Decodes `%3c` and `%u003c`; a broken escape stays as it is, because servers differ on those. */
function decodePercent(text: string): string {
  return text
    .replace(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}
