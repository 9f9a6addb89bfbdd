/** Path of a request target as a server resolves it: decoded, dot segments and double slashes gone, lower case. */
export function requestPath(uri: string): string {
  let path = uri.split(/[?#]/, 1)[0] ?? '/'
  for (let round = 0; round < 3; round++) path = decodeOnce(path)
  const segments: string[] = []
  for (const segment of path.split(/[/\\]+/)) {
    if (segment === '' || segment === '.') continue
    if (segment === '..') segments.pop()
    else segments.push(segment)
  }
  return `/${segments.join('/')}`.toLowerCase()
}

function decodeOnce(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
