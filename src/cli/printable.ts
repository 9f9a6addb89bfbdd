/**
 * A text with whatever could command a terminal replaced: names, reasons and keys come from agents and clients. Line
 * breaks stay, unless it is to be one line.
 */
export function printable(text: string, isOneLine = false): string {
  let clean = ''
  for (const character of text) {
    const isKept = character === '\n' ? !isOneLine : !isControl(character.codePointAt(0)!)
    clean += isKept ? character : '\ufffd'
  }
  return clean
}

/** C0, DEL and C1 controls, and the marks that turn the direction of writing around. */
function isControl(code: number): boolean {
  return (
    code < 0x20 ||
    (code >= 0x7f && code <= 0x9f) ||
    (code >= 0x202a && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069)
  )
}
