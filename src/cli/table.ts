import { printable } from './printable.ts'

/** One column: its heading and the text of a row. */
export type Column<Row> = readonly [heading: string, text: (row: Row) => string | number]

/** Rows as aligned columns, two spaces apart; numbers sit on the right. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = rows.map((row) =>
    columns.map(([, text]) => {
      const cell = text(row)
      return typeof cell === 'number' ? cell : printable(cell, true)
    }),
  )
  const widths = columns.map(([heading], index) =>
    Math.max(heading.length, ...cells.map((line) => String(line[index]).length)),
  )
  const line = (values: readonly (string | number)[]): string =>
    values
      .map((value, index) => {
        const width = widths[index] ?? 0
        return typeof value === 'number' ? String(value).padStart(width) : value.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [columns.map(([heading]) => heading), ...cells].map(line).join('\n')
}
