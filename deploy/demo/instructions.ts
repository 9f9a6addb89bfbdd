/** What to try, printed once everything is up. */
export function instructions(port: number, adminSocket: string): string {
  const base = `http://127.0.0.1:${port}`
  const rows: readonly (readonly [command: string, outcome: string])[] = [
    [`curl -i ${base}/hello`, '200'],
    [`curl -i '${base}/hello?q=%3Cscript%3E'`, '403 by waf'],
    [`curl -i ${base}/admin`, '401 by auth'],
    [`curl -i -H 'authorization: Bearer demo' ${base}/admin`, '200'],
    [`curl -i ${base}/login-old`, '302 by auth'],
    [`curl -i -d "user=' OR 1=1 --" ${base}/form`, '403 by waf'],
    [`curl -i ${base}/card`, '200, card number masked by pii'],
  ]
  const width = Math.max(...rows.map(([command]) => command.length))
  return [
    '',
    `Weir listens on ${base}; waf is dialed over gRPC, auth over a Unix socket, pii dials in.`,
    'Try, in another terminal:',
    '',
    ...rows.map(([command, outcome]) => `  ${command.padEnd(width)}  # ${outcome}`),
    '',
    `  npx weir agents --admin unix:${adminSocket}`,
    '',
    'Each decision appears below. Ctrl-C ends everything.',
    '',
    '',
  ].join('\n')
}
