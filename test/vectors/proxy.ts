/** Headers of the PROXY protocol's second version, as latin1. */
export const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'

export const version2 = (command: number, family: number, rest: string): string =>
  SIGNATURE + String.fromCharCode(command, family, rest.length >> 8, rest.length & 255) + rest

/** A client and the port that it connected to. */
export const version1 = (client: string, port = 80): string =>
  client.includes(':') ? `PROXY TCP6 ${client} ::1 1 ${port}\r\n` : `PROXY TCP4 ${client} 127.0.0.1 1 ${port}\r\n`
